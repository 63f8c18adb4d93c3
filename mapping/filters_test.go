package mapping

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
)

const someFilter = `{"data":{"a":[1]}}`

// S-101, V17: "5 filters … accepted; 6 refused under default quota, 11 always". The quota can be raised to 10, as AWS
// does on request.
func TestQuotaOfFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ quota, filters, limit int }{
		{0, 5, 0}, {0, 6, 5}, {0, 11, 5}, {10, 10, 0}, {10, 11, 10}, {7, 7, 0}, {7, 8, 7},
	} {
		b := setup(t)
		m := New(Options{
			Coord: b.coord, Clock: clock.New(0), Sources: b.streams, Functions: b.functions, MaxFilters: c.quota,
		})
		in := input()
		in.Filters = slices.Repeat([]string{someFilter}, c.filters)
		mp, _, err := m.Create(t.Context(), me, in)
		if c.limit == 0 {
			if err != nil || len(mp.Filters) != c.filters {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if fault.CodeOf(err) != fault.CodeInvalidParameter {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A refusal names the place in the pattern beside AWS's text, and so does an Update; what was there stays.
func TestRefusedPatternsNameTheirPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) { in.Filters = []string{someFilter} })
	b.settle(t)

	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{
		Knobs{Filters: []string{someFilter, `{"data":{"price":[{"numeric":[">","x"]}]}}`}},
	})

	var f *fault.Error
	if !errors.As(err, &f) || f.Message != "Invalid filter pattern definition." ||
		f.Hint != `filters[1].data.price[0].numeric[1]: at byte 34: give a number, not the string "x"` {
		t.Errorf("%#v", err)
	}
	if d := cmp.Diff([]string{someFilter}, b.get(t, m.UUID).Filters); d != "" {
		t.Error(d)
	}
}

// "FilterCriteria on Update replaces the whole list"; a member that is not sent leaves it alone.
func TestUpdateReplacesAllFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) { in.Filters = []string{someFilter, someFilter} })
	b.settle(t)

	b.update(t, m.UUID, Knobs{BatchSize: new(int64(7))})
	if got := b.get(t, m.UUID).Filters; len(got) != 2 {
		t.Errorf("%q", got)
	}
	b.settle(t)
	before := b.get(t, m.UUID)
	b.update(t, m.UUID, Knobs{Filters: []string{`{"partitionKey":["k"]}`}})
	after := b.get(t, m.UUID)
	if d := cmp.Diff([]string{`{"partitionKey":["k"]}`}, after.Filters); d != "" {
		t.Error(d)
	}
	none := DefaultSettings().Core().Filter
	if before.Core().Filter == after.Core().Filter || before.Core().Filter == none || none != 0 {
		t.Errorf("the core cannot tell the filters apart: %d, %d", before.Core().Filter, after.Core().Filter)
	}
}

// A legal pattern for something that no record has is accepted, with advice.
func TestRulesForWhatNoRecordHasAreAdvisedAbout(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`{"kinesis":{"partitionKey":["k"]}}`:              "a filter has a rule for kinesis, which no record has",
		`{"partitionKey":["k"],"data":{"kinesis":["k"]}}`: "",
	} {
		in := input()
		in.Filters = []string{pattern}
		_, hint, err := setup(t).Create(t.Context(), me, in)
		if err != nil || !strings.HasPrefix(hint, want) || want == "" && hint != "" {
			t.Fatalf("%s: %q, %v", pattern, hint, err)
		}
	}
}

// The core learns of every other list of filters by its identity, whichever of them differs; 0 says that there are
// none.
func TestFiltersAreToldApart(t *testing.T) {
	t.Parallel()
	const other = `{"data":{"a":[2]}}`
	seen := map[uint64][]string{}
	for _, filters := range [][]string{
		nil, {someFilter}, {other}, {someFilter, someFilter}, {someFilter, other}, {other, someFilter},
	} {
		s := Settings{Filters: filters}
		id := s.Core().Filter
		if before, ok := seen[id]; ok || (id == 0) != (filters == nil) {
			t.Errorf("%q and %q are %d", filters, before, id)
		}
		seen[id] = filters
	}
}

// TestTheIdentityOfFiltersIsKept: checkpoints name filters by it, so another one for the same filters means that every
// batch that was tried begins anew with the upgrade. Whoever changes what filters let through wants just that, raises
// filter.Version, and sees this test fail.
func TestTheIdentityOfFiltersIsKept(t *testing.T) {
	t.Parallel()
	s := Settings{Filters: []string{`{"data":{"a":[1]}}`, `{"data":{"a":[2]}}`}}
	if got, want := s.Core().Filter, uint64(0xe5463c02924530d); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}
