package stream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Keys in Coord. All belong to one group, so that an id, a stream and its shards appear in one commit.
//
//	stream/id                        the last numeric id that was allocated
//	stream/key                       32 bytes that authenticate iterators and list tokens
//	stream/name/ACCOUNT/REGION/NAME  streamRecord
//	stream/shard/ID/INDEX            shardRecord; ID and INDEX as ten digits
//	stream/reshard/ID                intent: a reshard that is under way
//	stream/account/ACCOUNT/REGION    commitmentRecord
//	stream/consumer/ID/NAME          consumerRecord
const (
	group         = "stream/"
	keyID         = group + "id"
	keyToken      = group + "key"
	prefixName    = group + "name/"
	prefixShard   = group + "shard/"
	prefixAccount = group + "account/"
	prefixPlan    = group + "reshard/"

	prefixConsumer = group + "consumer/"
)

func nameKey(n Name) string { return prefixName + n.Account + "/" + n.Region + "/" + n.Name }

func shardKey(stream uint32, index record.ShardID) string {
	return fmt.Sprintf("%s%010d/%010d", prefixShard, stream, index)
}

func planKey(stream uint32) string { return fmt.Sprintf("%s%010d", prefixPlan, stream) }

// metaVersion is the format of the values below, but for streams.
const metaVersion = 1

// streamVersion is the format of streamRecord. Version 1 had no policy, encryption and warm throughput. A release that
// does not know a member would drop it at the next change of the stream, so each that matters raises the version.
const streamVersion = 2

// streamRecord is the stored form of a stream, without its shards.
type streamRecord struct {
	Version     int               `json:"v"`
	ID          uint32            `json:"id"`
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	Name        string            `json:"name"`
	Status      Status            `json:"status"` // all but ACTIVE are completed when the store is opened, or when due
	Mode        Mode              `json:"mode"`
	Created     record.Millis     `json:"created"`
	RetentionMS int64             `json:"retention_ms"`
	Trimmed     record.Millis     `json:"trimmed,omitempty"` // see Info.Trimmed
	Due         record.Millis     `json:"due,omitempty"`     // see Info.Due
	RecordBytes int               `json:"record_bytes"`
	Monitored   []string          `json:"monitored,omitempty"` // names of ShardMetrics
	Tags        map[string]string `json:"tags,omitempty"`
	Policy      string            `json:"policy,omitempty"`    // as it was put
	KeyID       string            `json:"key_id,omitempty"`    // of the encryption; "": there is none
	Encrypted   []Span            `json:"encrypted,omitempty"` // when it was encrypted, in order
	Warm        int               `json:"warm,omitempty"`      // MiB a second, see Info.WarmThroughput
	WarmBefore  int               `json:"warm_before,omitempty"`
	// when something was changed that may be changed so often in a day, by its kind; only while that is limited
	Changes map[string][]record.Millis `json:"changes,omitempty"`
	// a random mark of the last change of its consumers, which have keys of their own: it tells such changes apart
	ConsumerChange string `json:"consumer_change,omitempty"`
}

// shardRecord is the stored form of a shard; stream and index are in its key.
type shardRecord struct {
	Version  int             `json:"v"`
	Start    string          `json:"start"`
	End      string          `json:"end"`
	Parent   *record.ShardID `json:"parent,omitempty"`
	Adjacent *record.ShardID `json:"adjacent,omitempty"`
	Created  record.Millis   `json:"created"`
	Closed   record.Millis   `json:"closed,omitempty"`
}

func (r *streamRecord) info() Info {
	n := Name{r.Account, r.Region, r.Name}
	return Info{
		ID: r.ID, Name: n, ARN: n.ARN(), Created: r.Created.Time(), Status: r.Status, Mode: r.Mode,
		Retention: time.Duration(r.RetentionMS) * time.Millisecond, RecordBytes: r.RecordBytes,
		Trimmed: r.Trimmed, Due: r.Due, Monitored: shardMetricsNamed(r.Monitored), Policy: r.Policy,
		KeyID: r.KeyID, Encrypted: r.Encrypted, Warm: r.Warm, WarmBefore: r.WarmBefore,
	}
}

func encodeStream(r streamRecord) []byte {
	r.Version = streamVersion
	return encode(r)
}

func decodeStream(e storage.Entry) (r streamRecord, err error) {
	err = decodeUpTo(e, &r, streamVersion)
	return r, err
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types can always be marshalled
	}
	return b
}

func encodeShard(s *ShardInfo) []byte {
	return encode(shardRecord{
		Version: metaVersion, Start: s.Range.Start.String(), End: s.Range.End.String(),
		Parent: s.Parent, Adjacent: s.AdjacentParent, Created: s.Created, Closed: s.Closed,
	})
}

func decode(e storage.Entry, v any) error { return decodeUpTo(e, v, metaVersion) }

// decodeUpTo is decode for a value of which more than one version can be read.
func decodeUpTo(e storage.Entry, v any, newest int) error {
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(e.Value, &head); err != nil {
		return fmt.Errorf("read %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	if head.Version < 1 || head.Version > newest {
		return fmt.Errorf(
			"read %s: %w: format version %d is not known here; it was written by a newer release", e.Key,
			storage.ErrCorrupt, head.Version,
		)
	}
	if err := json.Unmarshal(e.Value, v); err != nil {
		return fmt.Errorf("read %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	return nil
}

func decodeShard(e storage.Entry) (stream uint32, s ShardInfo, err error) {
	if _, err := fmt.Sscanf(e.Key, prefixShard+"%d/%d", &stream, &s.ID); err != nil {
		return 0, s, fmt.Errorf("read %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	var r shardRecord
	if err := decode(e, &r); err != nil {
		return 0, s, err
	}
	var okStart, okEnd bool
	s.Range.Start, okStart = record.ParseHashKey(r.Start)
	s.Range.End, okEnd = record.ParseHashKey(r.End)
	if !okStart || !okEnd {
		return 0, s, fmt.Errorf("read %s: malformed hash key range: %w", e.Key, storage.ErrCorrupt)
	}
	s.Parent, s.AdjacentParent, s.Created, s.Closed = r.Parent, r.Adjacent, r.Created, r.Closed
	return stream, s, nil
}

// ready loads the metadata on the very first call.
func (s *Streams) ready(ctx context.Context) error {
	if s.loaded.Load() {
		return nil
	}
	select {
	case s.loading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.loading }()
	if s.loaded.Load() {
		return nil
	}
	if err := s.load(ctx); err != nil {
		return fmt.Errorf("load streams: %w", err)
	}
	s.loaded.Store(true)
	return nil
}

// load reads everything and completes creations, deletions and reshards that a crash interrupted.
func (s *Streams) load(ctx context.Context) error {
	if err := s.loadTokenKey(ctx); err != nil {
		return err
	}
	names, err := s.coord.List(ctx, prefixName, "", 0)
	if err != nil {
		return err
	}
	shardEntries, err := s.coord.List(ctx, prefixShard, "", 0)
	if err != nil {
		return err
	}
	shards := map[uint32][]ShardInfo{}
	for _, e := range shardEntries { // in byte order: by stream, then by index
		id, info, err := decodeShard(e)
		if err != nil {
			return err
		}
		if int(info.ID) != len(shards[id]) {
			return fmt.Errorf("read %s: shard %d is missing: %w", e.Key, len(shards[id]), storage.ErrCorrupt)
		}
		shards[id] = append(shards[id], info)
	}
	consumers, err := s.listConsumers(ctx, prefixConsumer)
	if err != nil {
		return err
	}
	for _, e := range names {
		r := stored{revision: e.Revision}
		if r.streamRecord, err = decodeStream(e); err != nil {
			return err
		}
		r.shards, r.consumers = shards[r.ID], consumers[r.ID]
		st := s.adopt(r.snapshot(nil))
		if s.pace != (Pace{}) && r.Due > s.now() {
			if err := s.reclaim(ctx, st); err != nil {
				return err
			}
			s.schedulePaced(st)
			continue
		}
		st.working <- struct{}{}
		err = s.finish(ctx, st)
		<-st.working
		if err != nil {
			return fmt.Errorf("finish %s, which was %s: %w", strings.TrimPrefix(e.Key, prefixName), r.Status, err)
		}
	}
	return nil
}

func (s *Streams) loadTokenKey(ctx context.Context) error {
	for race := (storage.Race{}); ; {
		e, err := s.coord.Get(ctx, keyToken)
		if err != nil {
			return err
		}
		if e.Revision != 0 {
			return s.tokens.use(e.Value)
		}
		key := make([]byte, tokenKeyBytes)
		_, _ = rand.Read(key) // never fails
		_, err = s.coord.Commit(ctx, group, storage.Op{Key: keyToken, Value: key, Expect: storage.Absent})
		if errors.Is(err, storage.ErrConflict) {
			err = race.Lost(storage.Absent, err)
		}
		if err != nil {
			return err
		}
	}
}

// adopt makes a loaded stream known.
func (s *Streams) adopt(sn *snapshot) *stream {
	st := newStream(sn)
	s.mu.Lock()
	s.byName[st.name], s.byID[sn.info.ID] = st, st
	s.sawPolicy(sn)
	s.mu.Unlock()
	return st
}

// install replaces the snapshot of st and wakes those that wait for a new shard list.
func (s *Streams) install(st *stream, sn *snapshot) {
	s.mu.Lock()
	s.sawPolicy(sn)
	old := st.snap.Swap(sn)
	if old.changed != sn.changed {
		close(old.changed)
	}
	if sn.info.Status == Active {
		st.claim = nil
	}
	if sn.info.Retention < old.info.Retention {
		select {
		case s.shrunk <- struct{}{}:
		default:
		}
	}
	s.mu.Unlock()
	s.closeGone(old, sn)
	if old.info.Monitored != sn.info.Monitored || sn.info.Monitored != 0 && old.expired != sn.expired {
		s.meters.keep(sn, s.now())
	}
}

// forget removes st from memory.
func (s *Streams) forget(st *stream) {
	s.mu.Lock()
	if s.byName[st.name] != st {
		s.mu.Unlock()
		return
	}
	delete(s.byName, st.name)
	delete(s.byID, st.id.Load())
	last := st.snap.Load()
	close(last.changed)
	s.mu.Unlock()
	s.closeGone(last, nil)
}

// renewed builds the snapshot of a changed record; the shards stay the same.
func (st *stream) renewed(r streamRecord, revision storage.Revision) *snapshot {
	old := st.snap.Load()
	info := r.info()
	info.Shards = old.info.Shards
	return newSnapshot(info, r.Tags, revision, old)
}

// errUnsettled is returned by a change that must wait for another one to end.
var errUnsettled = errors.New("stream: another change is under way")

// errUnchanged ends a change that turns out to be none.
var errUnchanged = errors.New("stream: nothing is to be changed")

// update changes the stored record of st: change edits a copy and returns what is to be committed with it, against the
// revision that was read, and again if another process was faster. A conflict with one of these ops is not such a race
// and ends it with storage.ErrConflict. installed builds the new snapshot. Only one update of a stream runs at a time,
// or an older state could be installed over a newer one.
func (s *Streams) update(
	ctx context.Context, st *stream, change func(*streamRecord) ([]storage.Op, error),
	installed func(streamRecord, storage.Revision) *snapshot,
) error {
	select {
	case st.changing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-st.changing }()
	key := nameKey(st.name)
	for race := (storage.Race{}); ; {
		e, err := s.coord.Get(ctx, key)
		if err != nil {
			return err
		}
		if known := st.snap.Load().revision; known != 0 && known != e.Revision {
			// our view is behind, and would be installed as the latest
			if gone, err := s.renewHeld(ctx, st); err != nil || gone {
				return cmp.Or(err, s.notFound(st.name))
			}
			continue
		}
		if e.Revision == 0 {
			return s.notFound(st.name)
		}
		r, err := decodeStream(e)
		if err != nil {
			return err
		}
		if r.ID != st.id.Load() {
			return s.notFound(st.name)
		}
		ops, err := change(&r)
		if err != nil {
			return err
		}
		all := append([]storage.Op{{Key: key, Value: encodeStream(r), Expect: e.Revision}}, ops...)
		revision, err := s.coord.Commit(ctx, group, all...)
		if errors.Is(err, storage.ErrConflict) {
			if err := race.Lost(e.Revision, err); err != nil {
				return fmt.Errorf("change %s: %w", st.name, err)
			}
			continue
		}
		if err != nil {
			return err
		}
		s.install(st, installed(r, revision))
		return nil
	}
}
