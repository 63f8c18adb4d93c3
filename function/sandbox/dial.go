//go:build !windows

package sandbox

import (
	"context"
	"net"
	"strconv"
)

// DialLoopback connects to a port that the process listens on, on the loopback interface that it sees.
func (p *Process) DialLoopback(ctx context.Context, port int) (net.Conn, error) {
	if p.private {
		return p.dialPrivate(ctx, uint16(port))
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
