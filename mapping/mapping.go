// Package mapping holds event source mappings as configuration: what is created, changed, listed and deleted, and which
// of it is valid.
//
// Parsed requests come in from api/lambda; mappings go out to it and to engine, which runs them and reports back when a
// transition is complete (Settled, Removed) and how the last batch ended (SetResult). This room invokes nothing, reads
// no records and decides no policy: esm decides what the settings mean for a shard. Streams and functions are reached
// through Sources and Functions, which server wires.
//
// The behaviour is AWS's, as the Lambda API Reference (CreateEventSourceMapping and its four siblings) and the Lambda
// Developer Guide, "Using Lambda with Kinesis", describe it. docs/compat/lambda-event-source-mapping.md lists the
// differences, parameter by parameter.
package mapping

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// StartingPosition values, as AWS spells them.
const (
	TrimHorizon = "TRIM_HORIZON"
	Latest      = "LATEST"
	AtTimestamp = "AT_TIMESTAMP"
)

// Texts that clients compare.
const (
	NoRecordsProcessed = "No records processed" // LastResult before the first invocation
	userAction         = "User action"          // StateReason of a Kinesis mapping
)

// Mapping is one event source mapping: the configured link from a stream to a function. It is a value; Starts and Tags
// are shared and never changed.
type Mapping struct {
	UUID            string
	Account, Region string // where it was created and is visible

	EventSourceARN string
	// numeric id of the stream: a stream deleted and created again under the same name is another source
	Stream       uint32
	FunctionARN  string // as shown in answers, with the qualifier that the caller gave
	FunctionName string // unqualified

	Enabled     bool   // what the user wants; State says how far it is in effect
	State       State  // see State
	StateReason string // who caused the state
	// Version grows with each Update and with Delete. The engine reports the version that it has put into effect;
	// settling keeps it.
	Version      uint64
	LastModified time.Time         // of the last change of configuration or state, UTC, whole milliseconds
	LastResult   string            // LastProcessingResult
	Tags         map[string]string // never changed in place; nil: none
	// Standing are the problems that stand in the results of shards, for the engine; All fills it in. nil: none.
	Standing map[record.ShardID]string

	Settings

	StartingPosition          string
	StartingPositionTimestamp *record.Millis // with AT_TIMESTAMP only
	// Starts is the first position to read of every shard that existed at Create, when LATEST and AT_TIMESTAMP are
	// resolved once and for all. A shard that is not in it is newer and is read from its start. It matters only for
	// shards without a checkpoint; expired shards are removed from it.
	Starts map[record.ShardID]record.Position
}

// ARN returns the ARN of the mapping itself.
func (m *Mapping) ARN() string {
	return arn.New("lambda", m.Region, m.Account, "event-source-mapping:"+m.UUID).String()
}

// consumerPart is in the ARN of a consumer and in no other one of a source.
const consumerPart = "/consumer/"

// Consumer reports whether the mapping reads by a registered consumer of its stream.
func (m *Mapping) Consumer() bool { return strings.Contains(m.EventSourceARN, consumerPart) }

// Missing is what LastProcessingResult says when the source is gone.
func (m *Mapping) Missing() string {
	if m.Consumer() {
		return "PROBLEM: Stream consumer not found"
	}
	return "PROBLEM: Stream not found"
}

// Unreadable is what LastProcessingResult says when the function's role may not read the source any more.
func (m *Mapping) Unreadable() string { return "PROBLEM: " + cannotAccess(m.EventSourceARN) }

// KeptOut is what LastProcessingResult says while another subscription has the place of the consumer in a shard.
func (m *Mapping) KeptOut(shard record.ShardID) string {
	return "PROBLEM: Another subscription of the consumer reads " + shard.String() +
		"; the mapping waits until it ends or can be taken over"
}

// cannotAccess is AWS's text.
func cannotAccess(sourceARN string) string {
	return "Cannot access stream " + sourceARN + ". Please ensure the role can perform the GetRecords, " +
		"GetShardIterator, DescribeStream, ListShards, and ListStreams Actions on your stream in IAM."
}

// Settings are the settings that Update may change.
type Settings struct {
	BatchSize             int           // 1 to 10,000 records
	BatchingWindow        time.Duration // 0 to 300 s, whole seconds
	ParallelizationFactor int           // 1 to 10
	MaxRetries            int           // -1 (until the records expire) or 0 to 10,000
	MaxAge                time.Duration // 60 s to 604,800 s; 0: no limit, which AWS shows as -1
	Bisect                bool          // BisectBatchOnFunctionError
	PartialResponses      bool          // FunctionResponseTypes holds ReportBatchItemFailures
	TumblingWindow        time.Duration // 0 to 900 s, whole seconds; ParallelizationFactor is 1 with one
	EventCount            bool          // MetricsConfig holds EventCount
	Destination           string        // ARN of the on-failure destination, with a full account id; "" for none
	Filters               []string      // patterns as they were sent; none: every record passes. Never changed
	KMSKeyARN             string        // KMSKeyArn as it was sent; "": AWS's own key. With it List hides the filters
}

// DefaultSettings returns AWS's defaults.
func DefaultSettings() Settings {
	return Settings{BatchSize: 100, ParallelizationFactor: 1, MaxRetries: esm.Unlimited}
}

// Core returns s in the core's terms. The caller fills in the payload sizes, which depend on how the source encodes its
// records.
func (s Settings) Core() esm.Config {
	return esm.Config{
		BatchSize:        s.BatchSize,
		BatchingWindow:   s.BatchingWindow,
		Factor:           s.ParallelizationFactor,
		MaxRetries:       s.MaxRetries,
		MaxAge:           s.MaxAge,
		Bisect:           s.Bisect,
		PartialResponses: s.PartialResponses,
		TumblingWindow:   s.TumblingWindow,
		Destination:      s.Destination != "",
		Filter:           s.filterID(),
	}.WithDefaults()
}

// Source is a stream that a mapping can poll.
type Source struct {
	ID   uint32 // numeric stream id
	ARN  string // as stored and shown, with a full account id
	Hint string // advice for the caller, or ""
}

// Sources finds streams.
type Sources interface {
	// Lookup finds the stream that arn names for a caller in account and region. An absent stream is a *fault.Error of
	// code InvalidParameterValueException, "Stream not found: " and the ARN.
	Lookup(ctx context.Context, arn, account, region string) (Source, error)
	// Starts returns the first position to read of every shard that exists now, open or closed, unless it is trimmed
	// away. For LATEST it is the position after the last record that was acknowledged before the call; for TRIM_HORIZON
	// the oldest readable; for AT_TIMESTAMP that of the first record whose arrival is at or after at. A position beyond
	// a closed shard's end means that no record of it is read.
	Starts(ctx context.Context, id uint32, position string, at record.Millis) (
		map[record.ShardID]record.Position, error,
	)
}

// Functions finds functions.
type Functions interface {
	// Lookup finds a function by name, partial or full ARN, each with or without a qualifier, which is part of
	// functionARN as it was given, and not of name. ok is false if the function does not exist, does not have what the
	// qualifier names, or is not the caller's.
	Lookup(ctx context.Context, nameOrARN, account, region string) (functionARN, name, hint string, ok bool, err error)
}

// Options wire a Mappings. Coord, Clock, Sources and Functions are required.
type Options struct {
	Coord     storage.Coord
	Clock     *clock.Clock
	Sources   Sources
	Functions Functions
	Lacks     func(service string) string // says why there are no destinations of a service; nil, "": there are
	Log       *slog.Logger                // nil: discard
	// AWSPace makes a call on a mapping in a transitional state fail at once, as on AWS. Otherwise the call waits for
	// up to a second of real time, which is always enough here, so that scripts need no retry loop.
	AWSPace bool
	// MayRead reports whether the role of a function may read a stream or consumer, which Create and Update ask once
	// both are found; whether there is one of another account is asked first. nil: every role may.
	MayRead func(ctx context.Context, c Caller, functionARN, sourceARN string) (bool, error)
	// MaySend reports whether the role of a function may send to a destination. nil: every role may, within the account
	// of the mapping.
	MaySend func(ctx context.Context, c Caller, functionARN, destinationARN string) (bool, error)
	// MaxFilters is how many filters a mapping may have: AWS's quota is 5, and 10 at most. 0: 5.
	MaxFilters int
	// NewUUID returns the UUID of a new mapping. All randomness of a mapping is seeded by its UUID, so a test that
	// supplies UUIDs is deterministic. nil: random ones.
	NewUUID func() string
}

// Caller identifies the account and region of a request.
type Caller struct {
	Account string // 12 digits
	Region  string
}

// Mappings is the room. All methods are safe for concurrent use; what they changed is durable when they return, unless
// they say otherwise. They wait for storage and, outside AWSPace, for transitions to end, and stop waiting when their
// context ends.
type Mappings struct {
	store     store
	clock     *clock.Clock
	sources   Sources
	functions Functions
	lacks     func(service string) string
	log       *slog.Logger
	newUUID   func() string

	mayReadStream func(ctx context.Context, c Caller, functionARN, sourceARN string) (bool, error)
	maySendTo     func(ctx context.Context, c Caller, functionARN, destinationARN string) (bool, error)

	patience time.Duration // how long a call waits for a transitional state to end
	filters  int           // how many a mapping may have

	results results
}

// patience outside AWSPace, real time.
const patience = time.Second

// New returns the room with these options. Close it when done.
func New(o Options) *Mappings {
	m := &Mappings{
		store:     store{coord: storage.Sure(o.Coord), cache: map[string]cached{}},
		clock:     o.Clock,
		sources:   o.Sources,
		functions: o.Functions,
		lacks:     o.Lacks,
		log:       o.Log,
		newUUID:   o.NewUUID,
		patience:  patience,

		mayReadStream: o.MayRead,
		maySendTo:     o.MaySend,
		filters:       cmp.Or(o.MaxFilters, DefaultMaxFilters),
	}
	if m.newUUID == nil {
		m.newUUID = ids.New
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if o.AWSPace {
		m.patience = 0
	}
	m.results.pending = map[string]map[record.ShardID]told{}
	return m
}

// now returns the steered time with the precision that is stored and shown.
func (m *Mappings) now() time.Time { return m.clock.Now().UTC().Round(0).Truncate(time.Millisecond) }

// Get returns one mapping of the caller. Fault: ResourceNotFoundException.
func (m *Mappings) Get(ctx context.Context, c Caller, uuid string) (*Mapping, error) {
	mp, _, err := m.find(ctx, c, uuid)
	if err != nil {
		return nil, err
	}
	if err := m.show(ctx, mp); err != nil {
		return nil, err
	}
	return mp, nil
}

// uuidForm matches our UUIDs; nothing else is looked up.
var uuidForm = compiled(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// find reads a mapping that the caller may see, with its revision in the store.
func (m *Mappings) find(ctx context.Context, c Caller, uuid string) (*Mapping, storage.Revision, error) {
	if !uuidForm().MatchString(uuid) {
		return nil, 0, errNotFound()
	}
	mp, rev, err := m.store.get(ctx, uuid)
	if err != nil {
		return nil, 0, err
	}
	if rev == 0 || mp.Account != c.Account || mp.Region != c.Region {
		return nil, 0, errNotFound()
	}
	return &mp, rev, nil
}
