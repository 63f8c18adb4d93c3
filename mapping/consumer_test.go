package mapping

import (
	"sync"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// O33 and §3.1: one enabled mapping per consumer; a second one is ResourceConflictException, at Create and when it is
// enabled. V11: a mapping of the stream itself is another source.
func TestAConsumerServesOneEnabledMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const consumer = orders + "/consumer/c:1700000000"
	b.streams.add(consumer)
	create := func(function string, enabled bool) (*Mapping, error) {
		in := input()
		in.EventSourceARN, in.FunctionName, in.Enabled = new(consumer), &function, &enabled
		m, _, err := b.Create(t.Context(), me, in)
		if err == nil {
			b.settle(t)
		}
		return m, err
	}
	enable := func(m *Mapping, enabled bool) error {
		_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs: Knobs{Enabled: &enabled}})
		if err == nil {
			b.settle(t)
		}
		return err
	}
	taken := func(err error, by *Mapping) {
		t.Helper()
		want := "ResourceConflictException: The stream consumer " + consumer + " is the event source of the enabled mapping " +
			"with UUID " + by.UUID + ". A consumer serves one mapping: disable or delete that one, or register another consumer."
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}

	first, err := create("f", true)
	if err != nil || !first.Consumer() {
		t.Fatal(first, err)
	}
	_, err = create("g", true)
	taken(err, first)
	second, err := create("g", false)
	if err != nil {
		t.Fatal(err)
	}
	taken(enable(second, true), first)
	b.create(t) // of the stream itself
	for range 2 {
		if err := enable(first, false); err != nil {
			t.Fatal(err)
		}
		if err := enable(second, true); err != nil {
			t.Fatal(err)
		}
		taken(enable(first, true), second)
		first, second = second, first
	}
	if _, err := b.Delete(t.Context(), me, first.UUID); err != nil { // the enabled one
		t.Fatal(err)
	}
	if err := enable(second, true); err != nil {
		t.Errorf("while the other is being deleted: %v", err)
	}
}

// However many calls race for a consumer, one mapping reads by it.
func TestConcurrentCreatesOfOneConsumerLeaveOneMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const consumer = orders + "/consumer/c:1700000000"
	b.streams.add(consumer)
	names := []string{"f", "g"}
	errs := make([]error, 8*len(names))
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			in := input()
			in.EventSourceARN, in.FunctionName = new(consumer), &names[i%len(names)]
			_, _, errs[i] = b.Create(t.Context(), me, in)
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if fault.CodeOf(err) != fault.CodeConflict {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d mappings read by one consumer", made)
	}
}
