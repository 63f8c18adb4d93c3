package runtimeapi

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// ownPeer reports whether the other end of a loopback connection belongs to this user. Any user of the machine can connect to a loopback port, and who
// asks /next first gets the event; the kernel's socket table tells whose socket it is. A connection that is not in the table is already over.
func ownPeer(c net.Conn) bool {
	local, ok1 := c.LocalAddr().(*net.TCPAddr)
	remote, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return false
	}
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return true // a machine without the table cannot be asked
	}
	defer table.Close()
	uid, ok := ownerOf(bufio.NewScanner(table), hexPort(remote), hexPort(local))
	return ok && uid == os.Geteuid()
}

// hexPort is how the table writes an IPv4 loopback address: the address in the machine's byte order, which differs, so only the port is compared.
func hexPort(a *net.TCPAddr) string { return fmt.Sprintf(":%04X", a.Port) }

// ownerOf finds the row whose local and remote address end in the given ports. Columns: sl local_address rem_address st tx:rx tr:tm retrnsmt uid …
func ownerOf(table *bufio.Scanner, local, remote string) (uid int, ok bool) {
	for table.Scan() {
		row := table.Text()
		if !strings.Contains(row, local) || !strings.Contains(row, remote) {
			continue
		}
		f := strings.Fields(row)
		if len(f) > 7 && strings.HasSuffix(f[1], local) && strings.HasSuffix(f[2], remote) {
			uid, err := strconv.Atoi(f[7])
			return uid, err == nil
		}
	}
	return 0, false
}
