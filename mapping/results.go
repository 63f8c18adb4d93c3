package mapping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Result is the result of a shard's last batch, or why the shard stands still. LastProcessingResult is joined from the
// results of all shards when it is read, so that owners of different shards do not overwrite each other's.
type Result struct {
	Shard    record.ShardID // or Whole
	Epoch    uint64         // of the owner that reports it; it never overwrites the result of a later owner
	Text     string
	Standing bool // it takes precedence until the shard has another result
}

// Whole is the Shard of a Result for the mapping as a whole. If Standing, it takes precedence over those of shards.
const Whole = ^record.ShardID(0)

// resultDelay is how long a Result may stay in memory before it is written. After a crash in that time the previous one
// is shown.
const resultDelay = 3 * time.Second

// SetResult records a result of a mapping. Get and List of this process show it at once; it is written within some
// seconds, because a synced write per batch would cost more than the batch. It does not block and does not count as a
// change of the mapping.
func (m *Mappings) SetResult(_ context.Context, uuid string, r Result) {
	m.results.set(uuid, told{r, m.clock.Now().UnixNano()}, m.flush)
}

// Close writes the remaining results and waits until that is done. The room must not be used afterwards.
func (m *Mappings) Close(ctx context.Context) error {
	m.results.close()
	return m.writeResults(ctx)
}

// flush runs on the timer's goroutine.
func (m *Mappings) flush() {
	if err := m.writeResults(context.Background()); err != nil && !errors.Is(err, storage.ErrClosed) {
		m.log.Error("write last processing results", "error", err)
	}
}

// writeResults brings the store up to date, with one commit per mapping. Results that conflict with another owner stay
// pending.
func (m *Mappings) writeResults(ctx context.Context) error {
	var errs []error
	for uuid, pending := range m.results.snapshot() {
		mp, rev, err := m.store.get(ctx, uuid)
		if err == nil && rev != 0 {
			err = m.store.writeResults(ctx, &mp, pending)
		}
		if errors.Is(err, storage.ErrConflict) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.results.wrote(uuid, pending)
	}
	return errors.Join(errs...)
}

// show fills in the last results.
func (m *Mappings) show(ctx context.Context, mp *Mapping) error {
	stored, _, err := m.store.resultsOf(ctx, mp.UUID)
	if err != nil {
		return err
	}
	mp.LastResult = joined(mp.LastResult, m.results.over(mp.UUID, stored))
	return nil
}

// told is a Result with the instant at which it was reported, in nanoseconds since 1970.
type told struct {
	Result
	at int64
}

// joined returns the text to show: a standing result of the whole mapping or of its lowest shard, else the newest
// result, else base.
func joined(base string, results map[record.ShardID]told) string {
	if r, ok := results[Whole]; ok && r.Standing {
		return r.Text
	}
	newest := told{Result: Result{Text: base}}
	found := false
	for _, id := range slices.Sorted(maps.Keys(results)) {
		r := results[id]
		if r.Standing {
			return r.Text
		}
		if !found || r.at > newest.at {
			newest, found = r, true
		}
	}
	return newest.Text
}

// standing returns the problems of shards that stand still.
func standing(results map[record.ShardID]told) (problems map[record.ShardID]string) {
	for id, r := range results {
		if r.Standing && id != Whole {
			if problems == nil {
				problems = map[record.ShardID]string{}
			}
			problems[id] = r.Text
		}
	}
	return problems
}

// overlay returns stored, replaced by pending results where those take precedence: for each shard the later owner's.
func overlay(stored, pending map[record.ShardID]told) map[record.ShardID]told {
	if len(pending) == 0 {
		return stored
	}
	all := make(map[record.ShardID]told, len(stored)+len(pending))
	maps.Copy(all, stored)
	for id, r := range pending {
		if s, ok := stored[id]; !ok || s.Epoch <= r.Epoch {
			all[id] = r
		}
	}
	return all
}

// results holds results that the store does not have yet.
type results struct {
	mu      sync.Mutex
	pending map[string]map[record.ShardID]told // by uuid; at most one for each shard
	timer   *time.Timer                        // runs while something is pending
	running sync.WaitGroup
	closed  bool
}

func (r *results) set(uuid string, res told, flush func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.pending[uuid]
	if of == nil {
		of = map[record.ShardID]told{}
		r.pending[uuid] = of
	}
	if before, ok := of[res.Shard]; ok && before.Epoch > res.Epoch {
		return
	}
	of[res.Shard] = res
	r.arm(flush)
}

// arm starts the timer unless it runs. r.mu is held.
func (r *results) arm(flush func()) {
	if r.timer != nil || r.closed || len(r.pending) == 0 {
		return
	}
	r.running.Add(1)
	r.timer = time.AfterFunc(resultDelay, func() {
		defer r.running.Done()
		flush()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.timer = nil
		r.arm(flush)
	})
}

// close stops the timer and waits for a flush under way.
func (r *results) close() {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil && r.timer.Stop() {
		r.running.Done()
		r.timer = nil
	}
	r.mu.Unlock()
	r.running.Wait()
}

// over returns stored, overlaid with a mapping's pending results.
func (r *results) over(uuid string, stored map[record.ShardID]told) map[record.ShardID]told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return overlay(stored, r.pending[uuid])
}

// wrote is called when the store has results, or no longer needs them; newer ones stay pending.
func (r *results) wrote(uuid string, results map[record.ShardID]told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.pending[uuid]
	for id, res := range results {
		if of[id] == res {
			delete(of, id)
		}
	}
	if len(of) == 0 {
		delete(r.pending, uuid)
	}
}

func (r *results) drop(uuid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, uuid)
}

func (r *results) snapshot() map[string]map[record.ShardID]told {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]map[record.ShardID]told, len(r.pending))
	for uuid, of := range r.pending {
		all[uuid] = maps.Clone(of)
	}
	return all
}

// resultVersion is the format of a stored result.
const resultVersion = 1

// resultRow is the stored form of a Result; the shard is in its key.
type resultRow struct {
	Version  int
	Epoch    uint64
	At       int64 // ns since 1970
	Text     string
	Standing bool `json:",omitempty"`
}

func resultKey(uuid string, shard record.ShardID) string {
	return fmt.Sprintf("%s%s/%010d", byResult, uuid, uint32(shard))
}

func encodeResult(r told) []byte {
	b, err := json.Marshal(resultRow{resultVersion, r.Epoch, r.at, r.Text, r.Standing})
	if err != nil {
		panic(err) // a row of plain values can always be marshalled
	}
	return b
}

func decodeResult(e storage.Entry) (uuid string, r told, err error) {
	uuid, shard, _ := strings.Cut(strings.TrimPrefix(e.Key, byResult), "/")
	id, err := strconv.ParseUint(shard, 10, 32)
	var row resultRow
	if err == nil {
		err = json.Unmarshal(e.Value, &row)
	}
	if err == nil && (row.Version < 1 || row.Version > resultVersion) {
		err = fmt.Errorf("stored as version %d, this program reads versions up to %d", row.Version, resultVersion)
	}
	if err != nil {
		return "", told{}, fmt.Errorf("read %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	return uuid, told{
		Result{Shard: record.ShardID(id), Epoch: row.Epoch, Text: row.Text, Standing: row.Standing}, row.At,
	}, nil
}

// resultsOf returns the stored results of a mapping by shard, with their revisions.
func (s *store) resultsOf(
	ctx context.Context, uuid string,
) (results map[record.ShardID]told, revisions map[record.ShardID]storage.Revision, err error) {
	entries, err := s.coord.List(ctx, byResult+uuid+"/", "", 0)
	if err != nil {
		return nil, nil, fmt.Errorf("read the results of mapping %s: %w", uuid, err)
	}
	results, revisions = map[record.ShardID]told{}, map[record.ShardID]storage.Revision{}
	for _, e := range entries {
		_, r, err := decodeResult(e)
		if err != nil {
			return nil, nil, err
		}
		results[r.Shard], revisions[r.Shard] = r, e.Revision
	}
	return results, revisions, nil
}

// allResults returns the stored results of every mapping.
func (s *store) allResults(ctx context.Context) (map[string]map[record.ShardID]told, error) {
	entries, err := s.coord.List(ctx, byResult, "", 0)
	if err != nil {
		return nil, fmt.Errorf("read the results of mappings: %w", err)
	}
	all := map[string]map[record.ShardID]told{}
	for _, e := range entries {
		uuid, r, err := decodeResult(e)
		if err != nil {
			return nil, err
		}
		if all[uuid] == nil {
			all[uuid] = map[record.ShardID]told{}
		}
		all[uuid][r.Shard] = r
	}
	return all, nil
}

// writeResults writes those pending results that change something: a new text, or the newest result if only the order
// of reports has changed. Results of later owners stay.
func (s *store) writeResults(ctx context.Context, m *Mapping, pending map[record.ShardID]told) error {
	stored, revisions, err := s.resultsOf(ctx, m.UUID)
	if err != nil {
		return err
	}
	all := overlay(stored, pending)
	moved := joined(m.LastResult, stored) != joined(m.LastResult, all)
	newest := told{}
	for _, r := range pending {
		if all[r.Shard] == r && r.at >= newest.at {
			newest = r
		}
	}
	var ops []storage.Op
	for _, id := range slices.Sorted(maps.Keys(pending)) {
		r := pending[id]
		was, known := stored[id]
		if all[id] != r || known && was.Text == r.Text && was.Standing == r.Standing && (!moved || r != newest) {
			continue
		}
		ops = append(ops, storage.Op{Key: resultKey(m.UUID, id), Value: encodeResult(r), Expect: revisions[id]})
	}
	if len(ops) == 0 {
		return nil
	}
	_, err = s.coord.Commit(ctx, group, ops...)
	return err
}

// forgetResults returns the ops that delete the results of a mapping, or of some shards.
func (s *store) forgetResults(ctx context.Context, uuid string, of ...record.ShardID) ([]storage.Op, error) {
	stored, _, err := s.resultsOf(ctx, uuid)
	if err != nil {
		return nil, err
	}
	var ops []storage.Op
	wanted := make(map[record.ShardID]bool, len(of))
	for _, id := range of {
		wanted[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		if len(of) == 0 || wanted[id] {
			ops = append(ops, storage.Op{Key: resultKey(uuid, id), Expect: storage.Any})
		}
	}
	return ops, nil
}
