package mapping

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// The engine reads all mappings at every change; they are current although decoded values are cached.
func TestAllFollowsEveryChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	changed := b.Changed()
	m := b.create(t)
	select {
	case <-changed:
	default:
		t.Error("Create did not wake the engine")
	}
	for _, want := range []State{Creating, Enabled} {
		all, err := b.All(t.Context())
		if err != nil || len(all) != 1 || all[0].State != want {
			t.Fatalf("%v, %v; want one mapping in %s", all, err, want)
		}
		b.settle(t)
	}
	b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
	if all, err := b.All(t.Context()); err != nil || all[0].LastResult != "OK" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := b.Delete(t.Context(), me, m.UUID); err != nil {
		t.Fatal(err)
	}
	b.settle(t)
	if all, err := b.All(t.Context()); err != nil || len(all) != 0 || len(b.store.cache) != 0 {
		t.Errorf("%v, %v, %d kept", all, err, len(b.store.cache))
	}
}

// docs/format/mapping.md: older and newer programs must read what this one writes. A change here is a change of the
// format.
func TestStoredFormIsAsDocumented(t *testing.T) {
	t.Parallel()
	m := Mapping{
		UUID: "u", Account: "000000000000", Region: "us-east-1", EventSourceARN: "s", Stream: 7, FunctionARN: "a",
		FunctionName: "f", Enabled: true,
		State: Updating, StateReason: "User action", Version: 3, LastModified: time.UnixMilli(1_700_000_000_123).UTC(),
		LastResult: "OK",
		Settings: Settings{
			BatchSize: 10, BatchingWindow: 5 * time.Second, ParallelizationFactor: 2, MaxRetries: -1,
			MaxAge: time.Minute, Bisect: true, PartialResponses: true,
			Destination: "q", Filters: []string{`{"data":{"a":[1]}}`}, KMSKeyARN: "k",
		},
		StartingPosition: AtTimestamp, StartingPositionTimestamp: new(record.Millis(1)),
		Starts: map[record.ShardID]record.Position{0: 5, 12: 1},
	}
	const want = `{"Version":3,"UUID":"u","Account":"000000000000","Region":"us-east-1","EventSourceARN":"s","Stream":7,"FunctionARN":"a","FunctionName":"f",` +
		`"Enabled":true,"State":"Updating","StateReason":"User action","Change":3,"LastModified":1700000000123,"LastResult":"OK","BatchSize":10,` +
		`"BatchingWindow":5000000000,"Factor":2,"MaxRetries":-1,"MaxAge":60000000000,"Bisect":true,"PartialResponses":true,"Destination":"q","Filters":["{\"data\":{\"a\":[1]}}"],"KMSKeyARN":"k",` +
		`"StartingPosition":"AT_TIMESTAMP","StartingPositionTimestamp":1,"Starts":{"0":5,"12":1}}`
	if got := string(encode(&m)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := decode([]byte(want))
	if d := cmp.Diff(m, back); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
}

// To a newer program stored rows are bytes from outside: they are read back exactly or refused by name.
func TestRowsOfAnotherVersionAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"Version":4}`, `{"Version":0}`, `{}`, `nonsense`, ``} {
		if _, err := decode([]byte(text)); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Version":1,"UUID":"u","State":"Enabled","Starts":{"0":1}}`))
	f.Add([]byte(`{"Version":2,"UUID":"u","State":"Enabled","TumblingWindow":60000000000}`))
	f.Add([]byte(`{"Version":3,"UUID":"u","State":"Enabled","Filters":["{\"data\":{\"a\":[1]}}"],"KMSKeyARN":"k"}`))
	f.Add([]byte(`{"Version":1,"Starts":{"x":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(encode(&m))
		if err != nil || again.ARN() != m.ARN() || !cmp.Equal(again.Settings, m.Settings) ||
			len(again.Starts) != len(m.Starts) {
			t.Errorf("%+v became %+v (%v)", m, again, err)
		}
	})
}

// reopen returns another room over the same store, as after a restart.
func reopen(b bundle) *Mappings {
	return New(Options{Coord: b.coord, Clock: clock.New(0), Sources: b.streams, Functions: b.functions})
}

// A mapping stands from Create to Delete, and not while it is being deleted.
func TestAMappingStandsUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	stands := func(want bool, when string) {
		t.Helper()
		if got, err := b.Stands(t.Context(), m.UUID); err != nil || got != want {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	stands(true, "created")
	b.settle(t)
	if _, err := b.Delete(t.Context(), me, m.UUID); err != nil {
		t.Fatal(err)
	}
	stands(false, "being deleted")
	b.settle(t)
	stands(false, "gone")
}
