package mapping

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// memCoord is the memory backend's Coord, with a count of commits and a hook.
type memCoord struct {
	storage.Coord
	commits atomic.Int64
	// before, if set, is called once before the next Commit, so that another change can come in between.
	before func()
}

func newMemCoord() *memCoord {
	return &memCoord{Coord: memory.New(memory.Options{Clock: clock.New(0)}).Coord()}
}

func (c *memCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if f := c.before; f != nil {
		c.before = nil
		f()
	}
	c.commits.Add(1)
	return c.Coord.Commit(ctx, group, ops...)
}

// count returns how many commits were tried.
func (c *memCoord) count() int { return int(c.commits.Load()) }

// keys returns how many keys there are.
func (c *memCoord) keys() int {
	all, err := c.List(context.Background(), "", "", 0)
	if err != nil {
		panic(err)
	}
	return len(all)
}

// streams is a Sources of one-shard streams whose tip a test moves.
type streams struct {
	mu   sync.Mutex
	byID map[string]uint32          // by ARN
	tip  map[uint32]record.Position // the position after the last record
	last uint32                     // last id assigned
}

func newStreams() *streams {
	return &streams{byID: map[string]uint32{}, tip: map[uint32]record.Position{}}
}

func (s *streams) add(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := s.last
	s.byID[arn], s.tip[id] = id, 1
}

func (s *streams) put(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tip[s.byID[arn]]++
}

func (s *streams) drop(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tip, s.byID[arn])
	delete(s.byID, arn)
}

func (s *streams) Lookup(_ context.Context, arn, account, region string) (Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byID[arn]
	if !ok {
		return Source{}, fault.New(fault.CodeInvalidParameter, "Stream not found: %s", arn)
	}
	return Source{ID: id, ARN: arn}, nil
}

func (s *streams) Starts(_ context.Context, id uint32, position string, at record.Millis) (
	map[record.ShardID]record.Position, error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tip[id] == 0 {
		return nil, fault.New(
			fault.CodeInvalidParameter, "Stream not found: it was deleted while the mapping was created.",
		)
	}
	switch position {
	case Latest:
		return map[record.ShardID]record.Position{0: s.tip[id]}, nil
	case AtTimestamp:
		return map[record.ShardID]record.Position{0: record.Position(at)}, nil
	}
	return map[record.ShardID]record.Position{0: 1}, nil
}

// functions is a Functions that knows the names in it, each with version 1 and alias live.
type functions struct {
	mu    sync.Mutex
	names map[string]bool
}

func (f *functions) Lookup(_ context.Context, name, account, region string) (string, string, string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ref, ok := parseFunction(name)
	if !ok || !f.names[ref.name] || !slices.Contains([]string{"", "$LATEST", "1", "live"}, ref.qualifier) {
		return "", "", "", false, nil
	}
	return ref.arnFor(Caller{account, region}), ref.name, "", true, nil
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
		streams:   newStreams(),
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

// settle reports every transition under way as complete, like the engine.
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

// input returns the smallest valid Create, changed by edits.
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
