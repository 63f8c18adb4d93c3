package mapping

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Keys. All are in one Coord group, so that a mapping and its entry in the index of pairs change together.
const (
	group      = "mapping/"
	byUUID     = group + "uuid/"     // + uuid → row
	byResult   = group + "result/"   // + uuid, shard → resultRow
	byConsumer = group + "consumer/" // + consumer ARN → uuid of the enabled mapping that reads by it
	byPair     = group + "pair/"     // + stream ARN, space, function ARN → uuid; ensures that a pair has one mapping
	rowVersion = 3                   // 1 had no TumblingWindow, 2 no Filters
)

func pairKey(sourceARN, functionARN string) string { return byPair + sourceARN + " " + functionARN }

// consumerKey returns the key by which m has its consumer for itself; "": it needs none.
func consumerKey(m *Mapping) string {
	if !m.Consumer() || !m.Enabled || m.State == Deleting {
		return ""
	}
	return byConsumer + m.EventSourceARN
}

// store reads and writes mappings. It caches the last decoded value of every mapping, because the engine reads all of
// them at every change.
type store struct {
	coord storage.Coord

	mu    sync.Mutex
	cache map[string]cached // by uuid; as many as there are mappings
}

type cached struct {
	rev storage.Revision
	m   Mapping
}

// get reads a mapping; the revision is 0 if it does not exist.
func (s *store) get(ctx context.Context, uuid string) (Mapping, storage.Revision, error) {
	e, err := s.coord.Get(ctx, byUUID+uuid)
	if err != nil {
		return Mapping{}, 0, fmt.Errorf("read mapping %s: %w", uuid, err)
	}
	if e.Revision == 0 {
		return Mapping{}, 0, nil
	}
	m, err := decode(e.Value)
	if err != nil {
		return Mapping{}, 0, fmt.Errorf("read mapping %s: %w", uuid, err)
	}
	return m, e.Revision, nil
}

// all returns every mapping, in order of UUID.
func (s *store) all(ctx context.Context) ([]Mapping, error) {
	entries, err := s.coord.List(ctx, byUUID, "", 0)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	out := make([]Mapping, 0, len(entries))
	fresh := make(map[string]cached, len(entries))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		uuid := strings.TrimPrefix(e.Key, byUUID)
		c, ok := s.cache[uuid]
		if !ok || c.rev != e.Revision {
			m, err := decode(e.Value)
			if err != nil {
				return nil, fmt.Errorf("read mapping %s: %w", uuid, err)
			}
			c = cached{e.Revision, m}
		}
		fresh[uuid] = c
		out = append(out, c.m)
	}
	s.cache = fresh
	return out, nil
}

// holder returns the UUID of the mapping that has the pair, or "".
func (s *store) holder(ctx context.Context, sourceARN, functionARN string) (string, error) {
	e, err := s.coord.Get(ctx, pairKey(sourceARN, functionARN))
	if err != nil {
		return "", fmt.Errorf("look for a mapping of %s: %w", sourceARN, err)
	}
	return string(e.Value), nil
}

// reader returns the UUID of the other mapping that has the consumer which m wants for itself, or "".
func (s *store) reader(ctx context.Context, m *Mapping) (string, error) {
	key := consumerKey(m)
	if key == "" {
		return "", nil
	}
	e, err := s.coord.Get(ctx, key)
	if err != nil {
		return "", fmt.Errorf("look for a mapping that reads by %s: %w", m.EventSourceARN, err)
	}
	if uuid := string(e.Value); uuid != m.UUID {
		return uuid, nil
	}
	return "", nil
}

// create writes a new mapping and takes its pair, and its consumer. storage.ErrConflict if either is taken.
func (s *store) create(ctx context.Context, m *Mapping) error {
	ops := []storage.Op{
		{Key: pairKey(m.EventSourceARN, m.FunctionARN), Value: []byte(m.UUID), Expect: storage.Absent},
		{Key: byUUID + m.UUID, Value: encode(m), Expect: storage.Absent},
	}
	if key := consumerKey(m); key != "" {
		ops = append(ops, storage.Op{Key: key, Value: []byte(m.UUID), Expect: storage.Absent})
	}
	_, err := s.coord.Commit(ctx, group, ops...)
	return err
}

// replace writes m over old, which the store has at rev, moves its pair if the function changed, and takes or frees its
// consumer. storage.ErrConflict if another change was faster, or what is to be taken is taken.
func (s *store) replace(
	ctx context.Context, rev storage.Revision, old, m *Mapping, more ...storage.Op,
) error {
	ops := append([]storage.Op{{Key: byUUID + m.UUID, Value: encode(m), Expect: rev}}, more...)
	if m.FunctionARN != old.FunctionARN {
		ops = append(ops,
			storage.Op{Key: pairKey(old.EventSourceARN, old.FunctionARN), Expect: storage.Any},
			storage.Op{Key: pairKey(m.EventSourceARN, m.FunctionARN), Value: []byte(m.UUID), Expect: storage.Absent})
	}
	switch had, has := consumerKey(old), consumerKey(m); {
	case had == "" && has != "":
		ops = append(ops, storage.Op{Key: has, Value: []byte(m.UUID), Expect: storage.Absent})
	case had != "" && has == "":
		ops = append(ops, storage.Op{Key: had, Expect: storage.Any})
	}
	_, err := s.coord.Commit(ctx, group, ops...)
	return err
}

// forget removes m, which the store has at rev, with its results, and frees its pair.
func (s *store) forget(ctx context.Context, rev storage.Revision, m *Mapping) error {
	results, err := s.forgetResults(ctx, m.UUID)
	if err != nil {
		return err
	}
	_, err = s.coord.Commit(ctx, group, append([]storage.Op{
		{Key: byUUID + m.UUID, Expect: rev}, {Key: pairKey(m.EventSourceARN, m.FunctionARN), Expect: storage.Any},
	}, results...)...)
	return err
}

// changed returns a channel that is closed at the next change of a mapping: its row and its pair change together.
// Results do not count.
func (s *store) changed() <-chan struct{} { return s.coord.Changed(byUUID) }

// row is the stored form, JSON. Members are only ever added; rowVersion grows when an older reader would misread one.
type row struct {
	Version          int
	UUID             string
	Account          string
	Region           string
	EventSourceARN   string
	Stream           uint32
	FunctionARN      string
	FunctionName     string
	Enabled          bool
	State            State
	StateReason      string
	Change           uint64 // Mapping.Version
	LastModified     record.Millis
	LastResult       string
	BatchSize        int
	BatchingWindow   time.Duration // ns
	Factor           int
	MaxRetries       int
	MaxAge           time.Duration     // ns
	Bisect           bool              `json:",omitempty"`
	PartialResponses bool              `json:",omitempty"`
	TumblingWindow   time.Duration     `json:",omitempty"` // ns
	Destination      string            `json:",omitempty"`
	Tags             map[string]string `json:",omitempty"`
	EventCount       bool              `json:",omitempty"`
	Filters          []string          `json:",omitempty"`
	KMSKeyARN        string            `json:",omitempty"`

	StartingPosition          string
	StartingPositionTimestamp *record.Millis `json:",omitempty"`
	Starts                    map[record.ShardID]record.Position
}

func encode(m *Mapping) []byte {
	b, err := json.Marshal(row{
		Version: rowVersion, UUID: m.UUID, Account: m.Account, Region: m.Region,
		EventSourceARN: m.EventSourceARN, Stream: m.Stream, FunctionARN: m.FunctionARN, FunctionName: m.FunctionName,
		Enabled: m.Enabled, State: m.State, StateReason: m.StateReason, Change: m.Version,
		LastModified: record.MillisOf(m.LastModified), LastResult: m.LastResult,
		BatchSize: m.BatchSize, BatchingWindow: m.BatchingWindow, Factor: m.ParallelizationFactor,
		MaxRetries: m.MaxRetries, MaxAge: m.MaxAge,
		Bisect: m.Bisect, PartialResponses: m.PartialResponses, TumblingWindow: m.TumblingWindow,
		Destination: m.Destination, Tags: m.Tags, EventCount: m.EventCount,
		Filters: m.Filters, KMSKeyARN: m.KMSKeyARN,
		StartingPosition: m.StartingPosition, StartingPositionTimestamp: m.StartingPositionTimestamp, Starts: m.Starts,
	})
	if err != nil {
		panic(err) // a row of plain values can always be marshalled
	}
	return b
}

func decode(b []byte) (Mapping, error) {
	var r row
	if err := json.Unmarshal(b, &r); err != nil {
		return Mapping{}, fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	}
	if r.Version < 1 || r.Version > rowVersion {
		return Mapping{}, fmt.Errorf(
			"%w: stored as version %d, this program reads versions up to %d", storage.ErrCorrupt, r.Version, rowVersion,
		)
	}
	return Mapping{
		UUID: r.UUID, Account: r.Account, Region: r.Region,
		EventSourceARN: r.EventSourceARN, Stream: r.Stream, FunctionARN: r.FunctionARN, FunctionName: r.FunctionName,
		Enabled: r.Enabled, State: r.State, StateReason: r.StateReason, Version: r.Change,
		LastModified: r.LastModified.Time(), LastResult: r.LastResult, Tags: r.Tags,
		Settings: Settings{
			BatchSize: r.BatchSize, BatchingWindow: r.BatchingWindow, ParallelizationFactor: r.Factor,
			MaxRetries: r.MaxRetries, MaxAge: r.MaxAge,
			Bisect: r.Bisect, PartialResponses: r.PartialResponses, TumblingWindow: r.TumblingWindow,
			Destination: r.Destination, EventCount: r.EventCount, Filters: r.Filters, KMSKeyARN: r.KMSKeyARN,
		},
		StartingPosition: r.StartingPosition, StartingPositionTimestamp: r.StartingPositionTimestamp, Starts: r.Starts,
	}, nil
}
