package server

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A child of a killed server that has not reached exec yet holds its port for a moment. A start meanwhile waits for it,
// for a second and no longer; any other error ends it at once.
func TestAPortThatIsAboutToBeFreeIsWaitedFor(t *testing.T) {
	t.Parallel()
	inUse := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	denied := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}
	for name, c := range map[string]struct {
		freeAfter time.Duration // from then on listen succeeds
		err       error         // what listen says until then
		took      time.Duration
		want      error
	}{
		"free":                    {0, nil, 0, nil},
		"free after 300 ms":       {300 * time.Millisecond, inUse, 300 * time.Millisecond, nil},
		"held for longer":         {time.Hour, inUse, time.Second, syscall.EADDRINUSE},
		"refused for good reason": {time.Hour, denied, 0, syscall.EACCES},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()

				_, err := listenPatiently(t.Context(), func(context.Context) (net.Listener, error) {
					if time.Since(began) < c.freeAfter {
						return nil, c.err
					}
					return nil, nil
				})

				if took := time.Since(began); !errors.Is(err, c.want) || took != c.took {
					t.Errorf("%v after %s, want %v after %s", err, took, c.want, c.took)
				}
			})
		})
	}
}
