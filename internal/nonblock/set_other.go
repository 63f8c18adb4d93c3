//go:build !linux

package nonblock

import (
	"errors"
	"net"
)

// Set tells of each of its connections when it can be read. There is none on this system.
type Set struct{}

// NewSet fails with errors.ErrUnsupported.
func NewSet(func(key uint64)) (*Set, error) { return nil, errors.ErrUnsupported }

// Add fails with errors.ErrUnsupported.
func (*Set) Add(net.Conn, uint64) error { return errors.ErrUnsupported }

// Close does nothing.
func (*Set) Close() error { return nil }
