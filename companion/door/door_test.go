package door

import (
	"testing"
	"testing/synctest"
)

// Operations are let in while the door is open; shutting it waits for those inside, and for no others.
func TestShuttingWaitsForThoseInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d Door
		if _, ok := d.Enter(); ok || d.IsOpen() {
			t.Error("it was open before Open")
		}
		if _, ok := d.Shut(); ok {
			t.Error("it was shut twice")
		}
		if !d.Open() || d.Open() || !d.IsOpen() {
			t.Error("it opens once")
		}
		first, ok1 := d.Enter()
		second, ok2 := d.Enter()
		wait, ok := d.Shut()
		if !ok1 || !ok2 || !ok || d.IsOpen() {
			t.Fatalf("entered %t, %t; shut %t", ok1, ok2, ok)
		}
		left := make(chan struct{})
		go func() {
			wait()
			close(left)
		}()
		if _, ok := d.Enter(); ok {
			t.Error("entered through a shut door")
		}
		first()
		synctest.Wait()
		select {
		case <-left:
			t.Error("nobody waited for the second")
		default:
		}
		d.Open() // those who come now are not waited for
		later, ok := d.Enter()
		second()
		<-left
		if !ok {
			t.Error("it does not open again")
		}
		later()
	})
}
