package main

import (
	"testing"
	"time"
)

// What a put waited for the machine is counted once, however many stalls overlap, and only as far as the put waited.
func TestStallsThatOverlapCountOnce(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	s := &stalls{spans: []span{{at(100), at(200)}, {at(150), at(180)}, {at(50), at(120)}, {at(300), at(400)}}}

	for _, c := range []struct{ from, to, want int }{
		{0, 500, 250}, {110, 170, 60}, {190, 310, 20}, {200, 300, 0}, {0, 50, 0}, {350, 360, 10},
	} {
		got := s.within(span{at(c.from), at(c.to)})

		if want := time.Duration(c.want) * time.Millisecond; got != want {
			t.Errorf("from %d to %d ms the machine stood still for %v, not %v", c.from, c.to, got, want)
		}
	}
	if got := s.longest(); got != 100*time.Millisecond {
		t.Errorf("the longest stall is %v", got)
	}
}
