//go:build !linux

package runtimeapi

import "net"

// ownerOf always returns ours: this system does not tell, so any user of the machine who finds the port can connect.
func ownerOf(net.Conn, int) owner { return ours }
