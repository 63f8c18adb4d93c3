//go:build !linux

package runtimeapi

import "net"

// ownPeer cannot be told on this system: any user of the machine who finds the port can speak to it.
func ownPeer(net.Conn) bool { return true }
