//go:build !linux

package runtimeapi

import "net"

// ownerOf cannot be told on this system: any user of the machine who finds the port can speak to it.
func ownerOf(net.Conn, int) owner { return ours }
