package runtimeapi

import (
	"bufio"
	"strings"
	"testing"
)

// The owner of the other end of a connection is read from the row of its own socket, not of ours.
func TestOwnerOfAConnection(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0 20 4 30 10 -1
   3: broken :C351 :1F90
`
	for _, c := range []struct {
		client string
		uid    int
		ok     bool
	}{{":C350", 1000, true}, {":C351", 0, false}, {":C352", 0, false}} {
		uid, ok := ownerOf(bufio.NewScanner(strings.NewReader(table)), c.client, ":1F90")
		if uid != c.uid || ok != c.ok {
			t.Errorf("%s: %d %v", c.client, uid, ok)
		}
	}
}
