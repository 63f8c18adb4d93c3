package wake

import (
	"fmt"
	"testing"
)

func fired(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestFireWakesEverybodyWhoWaitedBefore(t *testing.T) {
	t.Parallel()
	var s Signal
	a, b := s.Wait(), s.Wait()
	s.Fire()
	c := s.Wait()
	if !fired(a) || !fired(b) || fired(c) {
		t.Fatalf("a %v, b %v, c %v; want the first two fired and the later one waiting", fired(a), fired(b), fired(c))
	}
	s.Fire()
	if !fired(c) {
		t.Fatal("the second Fire woke no waiter")
	}
}

// Both ways of finding the waiters (few waiters: ask each; many: ask each prefix of the key) must agree.
func TestFireWakesExactlyThePrefixesOfTheKey(t *testing.T) {
	t.Parallel()
	for _, others := range []int{0, 100} {
		var p Prefixes
		for i := range others {
			p.Wait(fmt.Sprintf("other/%d", i))
		}
		hit := []<-chan struct{}{p.Wait(""), p.Wait("a/"), p.Wait("a/b"), p.Wait("a/b")}
		miss := []<-chan struct{}{p.Wait("a/c"), p.Wait("a/b/c"), p.Wait("b")}
		p.Fire("a/b")
		for i, c := range hit {
			if !fired(c) {
				t.Errorf("%d others: waiter %d of a prefix was not woken", others, i)
			}
		}
		for i, c := range miss {
			if fired(c) {
				t.Errorf("%d others: waiter %d of another prefix was woken", others, i)
			}
		}
		p.FireAll()
		for i, c := range miss {
			if !fired(c) {
				t.Errorf("%d others: FireAll left waiter %d", others, i)
			}
		}
	}
}
