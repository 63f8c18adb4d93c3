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
   4: 0100007F:C353 0100007F:1F90 06 00000000:00000000 03:00001700 00000000     0        0 0 3 0
   5: 0100007F:C354 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   6: 0100007F:C355 0100007F:1F90 05 00000000:00000000 00:00000000 00000000  1001        0 2 1 0 20 4 30 10 -1
   7: 0100007F:C356 0100007F:1F90 05 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
`
	for _, c := range []struct {
		client string
		self   int
		want   owner
	}{
		{":C350", 1000, ours},
		{":C350", 1001, foreign},
		{":C350", 0, foreign},
		{":C351", 1000, nobody},
		{":C352", 1000, nobody},
		{":C353", 1000, nobody},
		{":C353", 0, ours},
		{":C354", 1000, foreign},
		{":C355", 1000, foreign},
		{":C356", 1000, ours},
	} {
		if got := judge(bufio.NewScanner(strings.NewReader(table)), c.client, ":1F90", c.self); got != c.want {
			t.Errorf("%s seen by %d: %d, want %d", c.client, c.self, got, c.want)
		}
	}
}
