//go:build windows

package sandbox

// Windows has no process groups that can be signalled, so we could not promise that what a function starts ends with
// it. A build for Windows fails here, by name.
var _ = shardmill_does_not_run_on_Windows_use_WSL_2_instead
