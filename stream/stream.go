// Package stream implements Kinesis data streams: streams and their shards, hash key ranges, sequence numbers,
// retention, iterators.
//
// Parsed requests come in from api/kinesis, positions and records from storage; results are values, and faults with
// AWS's words. The room keeps no record itself and knows nothing of HTTP. Transitions are complete before a call
// returns, unless Options.Pace wants them visible. Where AWS's behaviour is described: Kinesis API Reference; Developer
// Guide, "Key concepts", "Quotas and limits", "Resharding a stream".
package stream

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Limits that AWS documents and we enforce.
const (
	DefaultRetention   = 24 * time.Hour
	DefaultShardQuota  = 20000   // open provisioned shards per account and region
	OnDemandQuota      = 50      // on-demand streams per account and region
	onDemandShards     = 4       // a new on-demand stream has this many
	creatingQuota      = 5       // streams that are CREATING at once, per account and region; only with a pace
	DefaultRecordBytes = 1 << 20 // data plus partition key, unless the stream allows more
	MaxCallBytes       = 10 << 20
	MaxReadRecords     = 10000
	MaxReadBytes       = 10 << 20
	IteratorLife       = 300 * time.Second
)

// Name identifies a stream: a name is unique per account and region.
type Name struct{ Account, Region, Name string }

// ARN returns the Amazon resource name of the stream.
func (n Name) ARN() string {
	return arn.New("kinesis", n.Region, n.Account, "stream/"+n.Name).String()
}

func (n Name) String() string { return n.ARN() }

// Status is the state of a stream, in AWS's words.
type Status string

// Between calls a stream is ACTIVE, unless Pace keeps another state visible for longer than the call.
const (
	Creating Status = "CREATING" // its shards are being created: no reads, no writes, no shards shown
	Active   Status = "ACTIVE"
	Updating Status = "UPDATING" // a change is under way; reads and writes go on
	Deleting Status = "DELETING" // no reads or writes any more
)

// Mode says how a stream's capacity is set.
type Mode string

// The two modes.
const (
	Provisioned Mode = "PROVISIONED"
	OnDemand    Mode = "ON_DEMAND"
)

// Info describes a stream at one moment. It never changes once handed out, and callers must not change it.
type Info struct {
	ID          uint32 // allocated once, never reused: the stream's identity in storage, tokens and checkpoints
	Name        Name
	ARN         string
	Created     time.Time // to the millisecond
	Status      Status
	Mode        Mode
	Retention   time.Duration
	RecordBytes int          // the largest record, data plus partition key
	Monitored   ShardMetrics // what is measured for each of its shards
	Shards      []ShardInfo  // by id; OPEN and CLOSED ones, not EXPIRED ones; empty while CREATING
	// What arrived before has expired even if Retention would keep it: a longer retention brings nothing back. 0: it
	// was never made longer.
	Trimmed record.Millis
	Due     record.Millis // when a visible transition ends, see Pace; 0: Status is ACTIVE, or about to change
	Policy  string        // who else may use it, as it was put; "": nobody

	KeyID            string // of its encryption, see Encryption
	Encrypted        []Span // when it was encrypted, in order
	Warm, WarmBefore int    // see WarmThroughput
}

// ShardInfo describes one shard.
type ShardInfo struct {
	ID    record.ShardID
	Range record.HashKeyRange
	// AdjacentParent only after a merge; both stay when the parents have expired
	Parent, AdjacentParent *record.ShardID
	Created                record.Millis // its whole seconds are in every sequence number of the shard
	Closed                 record.Millis // 0: open

	// Cipher tells readers which records count as encrypted, by their arrival; nil elsewhere.
	Cipher func(arrival record.Millis) bool
}

// StartingSequenceNumber is below every record of the shard.
func (s *ShardInfo) StartingSequenceNumber() string {
	return s.sequence(0, s.Created).String()
}

// EndingSequenceNumber is above every record of a closed shard, and "" while it is open.
func (s *ShardInfo) EndingSequenceNumber() string {
	if s.Closed == 0 {
		return ""
	}
	return s.sequence(record.MaxPosition, s.Closed).String()
}

// Began returns when the shard began to accept records: for a child that is the end of its parents, one second before
// it counts as created.
func (s *ShardInfo) Began() record.Millis {
	if s.Parent != nil {
		return s.Created - childDelay
	}
	return s.Created
}

// AppendSequenceNumber appends the sequence number of the record of s at pos to dst.
func (s *ShardInfo) AppendSequenceNumber(dst []byte, pos record.Position, arrival record.Millis) []byte {
	return s.sequence(pos, arrival).Append(dst)
}

func (s *ShardInfo) sequence(pos record.Position, at record.Millis) Sequence {
	return Sequence{
		Created: int64(s.Created) / 1000, Shard: s.ID, Pos: pos, Time: int64(at) / 1000, Version: seqVersion,
	}
}

// Shard finds a shard of i by its id.
func (i *Info) Shard(id record.ShardID) (*ShardInfo, bool) {
	n, ok := slices.BinarySearchFunc(i.Shards, id, func(s ShardInfo, id record.ShardID) int {
		return int(int64(s.ID) - int64(id))
	})
	if !ok {
		return nil, false
	}
	return &i.Shards[n], true
}

// SequenceNumber returns the sequence number of a record. It is "" for a shard that i does not list.
func (i *Info) SequenceNumber(shard record.ShardID, pos record.Position, arrival record.Millis) string {
	s, ok := i.Shard(shard)
	if !ok {
		return ""
	}
	return s.sequence(pos, arrival).String()
}

// Child is a shard as named at the end of its parent.
type Child struct {
	ID      record.ShardID
	Parents []record.ShardID // one after a split, two after a merge
	Range   record.HashKeyRange
}

// Children returns the shards that directly follow a closed shard, by id.
func (i *Info) Children(parent record.ShardID) []Child {
	var out []Child
	for n := range i.Shards {
		s := &i.Shards[n]
		if s.Parent == nil || *s.Parent != parent && (s.AdjacentParent == nil || *s.AdjacentParent != parent) {
			continue
		}
		c := Child{ID: s.ID, Parents: []record.ShardID{*s.Parent}, Range: s.Range}
		if s.AdjacentParent != nil {
			c.Parents = append(c.Parents, *s.AdjacentParent)
		}
		out = append(out, c)
	}
	return out
}

// OpenShards returns how many shards accept records.
func (i *Info) OpenShards() int {
	n := 0
	for s := range i.Shards {
		if i.Shards[s].Closed == 0 {
			n++
		}
	}
	return n
}

// Options of New. Store is required.
type Options struct {
	Store      storage.Store
	Clock      *clock.Clock  // nil: real time
	Log        *slog.Logger  // nil: silent
	Metrics    *metric.Store // nil: nothing is measured
	ShardQuota int           // open provisioned shards per account and region; 0: DefaultShardQuota
	Pace       Pace          // how long transitions stay visible; the zero value: not at all
	// how long a shard iterator is valid; 0: IteratorLife
	IteratorLife time.Duration
	Limits       bool // AWS's rates of records, reads and calls are enforced, and its counts of changes in a day
	// Role returns the ARN of the session of a role that an access key was issued to, "" for other keys; nil: there are
	// no roles
	Role func(accessKey string) string
	// how old a subscription to a shard is before a second one of its consumer takes over; younger ones keep others
	// out. 0: DefaultTakeOver; negative: none are too young
	TakeOver time.Duration
}

// Streams holds all streams of all accounts. Every method is safe for concurrent use.
type Streams struct {
	log    storage.Log
	coord  storage.Coord
	clock  *clock.Clock
	slog   *slog.Logger
	meters meters
	quota  int

	loading chan struct{} // capacity 1: one load at a time
	loaded  atomic.Bool

	mu      sync.RWMutex // guards the maps and every replacement of a snapshot
	byName  map[Name]*stream
	byID    map[uint32]*stream
	doubted map[Name]uint32    // ids of streams that a Create of ours may have left
	stop    context.CancelFunc // of the sweeper and of follow; nil when they are not running
	stopped chan struct{}

	tokens sealer
	first  chan struct{} // capacity 1: tells the sweeper that there is a stream
	shrunk chan struct{} // capacity 1: tells the sweeper that a retention period has become shorter
	looks  chan struct{} // capacity 1: tells follow to look

	pace    Pace
	transit transitions
	role    func(accessKey string) string
	life    time.Duration // of iterators
	policed atomic.Bool   // a stream has had a policy since the process began: puts to others look for theirs only then
	seats   seats
	limits  *limits // nil: nothing is limited by time

	chaotic    atomic.Bool // chaos was set for a stream; reads look for it only then
	chaosTotal chaosCounters
}

// stream is one stream in memory; its snapshot is replaced as a whole.
type stream struct {
	name     Name
	id       atomic.Uint32 // 0 until it is allocated
	snap     atomic.Pointer[snapshot]
	changing chan struct{}         // capacity 1: changes are committed and installed in the same order
	working  chan struct{}         // capacity 1: one creation, reshard or deletion at a time is carried out
	scaling  atomic.Bool           // an on-demand stream is being given more shards
	chaos    atomic.Pointer[chaos] // what is refused on purpose; nil: nothing
	claim    *claim                // what a change under way makes of it; nil: there is none. Under Streams.mu
}

func newStream(sn *snapshot) *stream {
	st := &stream{name: sn.info.Name, changing: make(chan struct{}, 1), working: make(chan struct{}, 1)}
	st.id.Store(sn.info.ID)
	st.snap.Store(sn)
	return st
}

// New returns the streams kept in o.Store. Nothing is read before Start or the first call.
func New(o Options) *Streams {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TakeOver == 0 {
		o.TakeOver = DefaultTakeOver
	}
	if o.ShardQuota == 0 {
		o.ShardQuota = DefaultShardQuota
	}
	if o.IteratorLife == 0 {
		o.IteratorLife = IteratorLife
	}
	return &Streams{
		log: o.Store.Log(), coord: storage.Sure(o.Store.Coord()), clock: o.Clock, slog: o.Log, quota: o.ShardQuota,
		loading: make(chan struct{}, 1), byName: map[Name]*stream{}, byID: map[uint32]*stream{},
		doubted: map[Name]uint32{},
		first:   make(chan struct{}, 1), shrunk: make(chan struct{}, 1), looks: make(chan struct{}, 1),
		pace: o.Pace, role: o.Role, limits: newLimits(o.Limits), life: o.IteratorLife,
		meters: meters{store: o.Metrics, byID: map[uint32]*meter{}}, seats: seats{gap: o.TakeOver},
	}
}

// Start loads the metadata, completes what a crash left half done, and starts the retention sweeper. Twice is harmless.
func (s *Streams) Start(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return nil
	}
	s.resumeTransitions()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.stopped = stop, make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() { s.sweeper(run) })
	ended.Go(func() { s.follow(run) })
	go func(stopped chan<- struct{}) {
		ended.Wait()
		close(stopped)
	}(s.stopped)
	return nil
}

// Stop ends the sweeper, the following of other processes and transitions under way, and returns when all have ended.
// Twice is harmless; other calls keep working.
func (s *Streams) Stop() {
	s.mu.Lock()
	stop, stopped := s.stop, s.stopped
	s.stop = nil
	s.mu.Unlock()
	if stop != nil {
		stop()
		<-stopped
	}
	s.transit.stop()
}

func (s *Streams) now() record.Millis { return record.MillisOf(s.clock.Now()) }

// Lookup returns the description of a stream. Fault: ResourceNotFoundException.
func (s *Streams) Lookup(ctx context.Context, name Name) (*Info, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return st.snap.Load().visible(s.now()), nil
}

// LookupARN is Lookup by ARN. An account of fewer than twelve digits means the caller's (ParseARN returns the hint).
// Region and account come from the ARN alone; the caller's region, the last argument, is ignored.
func (s *Streams) LookupARN(ctx context.Context, arnText, callerAccount, _ string) (*Info, error) {
	name, _, err := ParseARN(arnText, callerAccount)
	if err != nil {
		return nil, err
	}
	return s.Lookup(ctx, name)
}

// LookupID returns the description of the stream with a numeric id; ok is false if it is DELETING, was deleted or never
// existed.
func (s *Streams) LookupID(ctx context.Context, id uint32) (info *Info, ok bool, err error) {
	sn, ok, err := s.byNumber(ctx, id)
	if err != nil || !ok || sn.info.Status == Deleting {
		return nil, false, err
	}
	return sn.visible(s.now()), true, nil
}

func (s *Streams) find(ctx context.Context, name Name) (*stream, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	st := s.byName[name]
	s.mu.RUnlock()
	if st == nil {
		return nil, s.notFound(name)
	}
	return st, nil
}

// settled is find, but first waits for a creation or reshard under way to end, for as long as puts do. It does not wait
// for a transition that is to be visible.
func (s *Streams) settled(ctx context.Context, name Name) (*stream, error) {
	patience := time.NewTimer(reshardPatience)
	defer patience.Stop()
	for {
		st, err := s.find(ctx, name)
		if err != nil {
			return nil, err
		}
		sn := st.snap.Load()
		if sn.info.Status != Creating && sn.info.Status != Updating || sn.info.Due != 0 {
			return st, nil
		}
		select {
		case <-sn.changed:
		case <-patience.C:
			return st, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Streams) byNumber(ctx context.Context, id uint32) (*snapshot, bool, error) {
	if err := s.ready(ctx); err != nil {
		return nil, false, err
	}
	s.mu.RLock()
	st := s.byID[id]
	s.mu.RUnlock()
	if st == nil {
		return nil, false, nil
	}
	return st.snap.Load(), true, nil
}

// closedChannel is for waiting on something that has already happened.
var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// ShardsChanged returns a channel that is closed when the stream's shard list changes, the stream is deleted, or one of
// its consumers is gone. Take it before Lookup.
func (s *Streams) ShardsChanged(id uint32) <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if st := s.byID[id]; st != nil {
		return st.snap.Load().changed
	}
	return closedChannel
}
