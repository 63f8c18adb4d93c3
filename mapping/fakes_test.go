package mapping

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// memCoord is a storage.Coord in a map, with commits counted.
type memCoord struct {
	mu      sync.Mutex
	rev     storage.Revision
	values  map[string]storage.Entry
	changed chan struct{}
	commits int
	// before, if set, is called once before the next Commit, to let somebody else in between.
	before func()
}

func newMemCoord() *memCoord {
	return &memCoord{values: map[string]storage.Entry{}, changed: make(chan struct{})}
}

// count is how many commits there were.
func (c *memCoord) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

func (c *memCoord) Get(_ context.Context, key string) (storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key], nil
}

func (c *memCoord) List(_ context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []storage.Entry
	for _, k := range slices.Sorted(maps.Keys(c.values)) {
		if strings.HasPrefix(k, prefix) && k > after && (n <= 0 || len(out) < n) {
			out = append(out, c.values[k])
		}
	}
	return out, nil
}

func (c *memCoord) Commit(_ context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if f := c.before; f != nil {
		c.before = nil
		f()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		if !strings.HasPrefix(op.Key, group) {
			return 0, fmt.Errorf("key %s outside group %s", op.Key, group)
		}
		if op.Expect != storage.Any && op.Expect != c.values[op.Key].Revision {
			return 0, storage.ErrConflict
		}
	}
	c.rev++
	c.commits++
	for _, op := range ops {
		if op.Value == nil {
			delete(c.values, op.Key)
		} else {
			c.values[op.Key] = storage.Entry{Key: op.Key, Value: slices.Clone(op.Value), Revision: c.rev}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return c.rev, nil
}

func (c *memCoord) Changed(string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// streams is a Sources of one-shard streams whose tip the test moves.
type streams struct {
	mu   sync.Mutex
	byID map[string]uint32          // by ARN
	tip  map[uint32]record.Position // the position after the last record
}

func (s *streams) add(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := uint32(len(s.byID) + 1)
	s.byID[arn], s.tip[id] = id, 1
}

func (s *streams) put(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tip[s.byID[arn]]++
}

func (s *streams) Lookup(_ context.Context, arn, account, region string) (Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byID[arn]
	if !ok {
		return Source{}, fault.New("InvalidParameterValueException", "Stream not found: %s", arn)
	}
	return Source{ID: id, ARN: arn}, nil
}

func (s *streams) Starts(_ context.Context, id uint32, position string, at record.Millis) (map[record.ShardID]record.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch position {
	case Latest:
		return map[record.ShardID]record.Position{0: s.tip[id]}, nil
	case AtTimestamp:
		return map[record.ShardID]record.Position{0: record.Position(at)}, nil
	}
	return map[record.ShardID]record.Position{0: 1}, nil
}

// functions is a Functions of the names in it.
type functions struct {
	mu    sync.Mutex
	names map[string]bool
}

func (f *functions) Lookup(_ context.Context, name, account, region string) (string, string, string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ref, ok := parseFunction(name)
	if !ok || !f.names[ref.name] {
		return "", "", "", false, nil
	}
	return "arn:aws:lambda:" + region + ":" + account + ":function:" + ref.name, ref.name, "", true, nil
}

var me = Caller{Account: "000000000000", Region: "us-east-1"}

const orders = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"

// bundle is a room with stream orders and functions f and g.
type bundle struct {
	*Mappings
	coord     *memCoord
	streams   *streams
	functions *functions
}

func setup(t *testing.T, edit ...func(*Options)) bundle {
	t.Helper()
	b := bundle{
		coord:     newMemCoord(),
		streams:   &streams{byID: map[string]uint32{}, tip: map[uint32]record.Position{}},
		functions: &functions{names: map[string]bool{"f": true, "g": true}},
	}
	b.streams.add(orders)
	o := Options{Coord: b.coord, Clock: clock.New(0), Sources: b.streams, Functions: b.functions}
	for _, f := range edit {
		f(&o)
	}
	b.Mappings = New(o)
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return b
}

func awsPace(o *Options) { o.AWSPace = true }

// settle reports, as the engine does, whatever is under way as complete.
func (b bundle) settle(t *testing.T) {
	t.Helper()
	all, err := b.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		switch {
		case m.State == Deleting:
			err = b.Removed(t.Context(), m.UUID)
		case m.Enabled:
			err = b.Settled(t.Context(), m.UUID, m.Version, Enabled)
		default:
			err = b.Settled(t.Context(), m.UUID, m.Version, Disabled)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// input is the smallest valid Create, changed by edits.
func input(edits ...func(*CreateInput)) CreateInput {
	in := CreateInput{EventSourceARN: new(orders), StartingPosition: new(Latest)}
	in.FunctionName = new("f")
	for _, f := range edits {
		f(&in)
	}
	return in
}

func (b bundle) create(t *testing.T, edits ...func(*CreateInput)) *Mapping {
	t.Helper()
	m, _, err := b.Create(t.Context(), me, input(edits...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b bundle) update(t *testing.T, uuid string, k Knobs) *Mapping {
	t.Helper()
	m, _, err := b.Update(t.Context(), me, uuid, UpdateInput{k})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b bundle) get(t *testing.T, uuid string) *Mapping {
	t.Helper()
	m, err := b.Get(t.Context(), me, uuid)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantFault checks code and message.
func wantFault(t *testing.T, err error, code, message string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Message != message {
		t.Errorf("got  %v\nwant %s: %s", err, code, message)
	}
}
