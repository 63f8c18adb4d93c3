package server

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// A port whose holder was killed is free a moment later: a child of it between fork and exec still has the listener, until exec closes it. So it is tried
// again for a while before it counts as taken.
const (
	listenPatience = time.Second
	listenPause    = 20 * time.Millisecond
)

// listenPatiently calls listen until it succeeds, fails for another reason than a port in use, or has been tried for listenPatience.
func listenPatiently(ctx context.Context, listen func(context.Context) (net.Listener, error)) (net.Listener, error) {
	deadline := time.NewTimer(listenPatience)
	defer deadline.Stop()
	pause := time.NewTicker(listenPause)
	defer pause.Stop()
	for {
		l, err := listen(ctx)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-pause.C:
		case <-deadline.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
