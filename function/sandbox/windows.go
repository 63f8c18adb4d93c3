//go:build windows

package sandbox

// Windows has no process groups that a signal reaches, so nothing could promise that what a function starts ends with
// it. A build there ends here, by name.
var _ = shardmill_does_not_run_on_Windows_use_WSL_2_instead
