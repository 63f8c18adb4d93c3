package runtimeapi

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// ownerOf returns the owner of the other end of a loopback connection. Any user of the machine can connect to a
// loopback port, and the first /next gets the event; the kernel's socket table names the user. A closed socket has no
// owner: it has left the table, or is listed there as root's.
func ownerOf(c net.Conn, user int) owner {
	local, ok1 := c.LocalAddr().(*net.TCPAddr)
	remote, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return foreign
	}
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ours // without the table we cannot tell
	}
	defer table.Close()
	return judge(bufio.NewScanner(table), hexPort(remote), hexPort(local), user)
}

// established is the state of a connection that both ends hold open.
const established = "01"

// hexPort returns the port in the table's form. The table writes addresses in the machine's byte order, so only ports
// are compared.
func hexPort(a *net.TCPAddr) string { return fmt.Sprintf(":%04X", a.Port) }

// judge returns the owner from the row whose local and remote address end in the given ports. Columns: sl local_address
// rem_address st
// tx:rx tr:tm retrnsmt uid …
func judge(table *bufio.Scanner, local, remote string, self int) owner {
	for table.Scan() {
		row := table.Text()
		if !strings.Contains(row, local) || !strings.Contains(row, remote) {
			continue
		}
		f := strings.Fields(row)
		if len(f) <= 7 || !strings.HasSuffix(f[1], local) || !strings.HasSuffix(f[2], remote) {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		switch {
		case err != nil:
			return foreign
		case uid == self:
			return ours
		case uid == 0 && f[3] != established:
			return nobody
		}
		return foreign
	}
	return nobody
}
