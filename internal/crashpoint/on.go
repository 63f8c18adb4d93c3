//go:build crashpoint

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable names the moment and at which occurrence the process dies, for example SHARDMILL_CRASHPOINT=save:3.
const Variable = "SHARDMILL_CRASHPOINT"

var left = func() map[string]*atomic.Int64 {
	name, n, _ := strings.Cut(os.Getenv(Variable), ":")
	count, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return nil
	}
	c := new(atomic.Int64)
	c.Store(count)
	return map[string]*atomic.Int64{name: c}
}()

// Hit counts a moment; at the n-th occurrence the process kills itself without cleaning up.
func Hit(moment string) {
	if c := left[moment]; c != nil && c.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
