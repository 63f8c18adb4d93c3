package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// reshardPatience is how long, in real time, a put waits for the children of a shard that was closed meanwhile.
const reshardPatience = 10 * time.Second

// Placed says where a record was put, or why it was not.
type Placed struct {
	Shard   record.ShardID
	Pos     record.Position
	Arrival record.Millis
	Fault   *fault.Error // nil: the record is durable and readable
	created int64        // of the shard, epoch seconds
	whole   bool         // Fault is that of the call

	Encrypted bool // the record counts as encrypted
}

// AppendSequenceNumber appends the text of the record's place to dst.
func (p *Placed) AppendSequenceNumber(dst []byte) []byte {
	return Sequence{
		Created: p.created, Shard: p.Shard, Pos: p.Pos, Time: int64(p.Arrival) / 1000, Version: seqVersion,
	}.Append(dst)
}

// PutRecordInput is one record with the parameters of PutRecord. Record's Pos and Arrival are ignored.
type PutRecordInput struct {
	Record   record.Record
	HashKey  string // explicit hash key in decimal, "" for none; Record.Hash and Explicit are filled from it
	Ordering string // SequenceNumberForOrdering, "" for none
}

// PutRecord appends one record to the shard whose hash key range holds its hash key, and returns when it is durable and
// readable. Data and Key are copied. Faults, in this order: ResourceNotFoundException; InvalidArgumentException for an
// explicit hash key beyond 2^128−1 or a sequence number for ordering that no record can have yet; ValidationException
// over the stream's record size; ProvisionedThroughputExceededException when storage is busy, and beyond the shard's
// rate if that is limited; InternalFailure, with a hint, when storage is full. May block on a sync. Source: Kinesis API
// Reference, PutRecord.
func (s *Streams) PutRecord(ctx context.Context, name Name, in PutRecordInput) (Placed, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return Placed{}, err
	}
	sn := st.snap.Load()
	if !sn.writable() {
		return Placed{}, s.notFound(name)
	}
	if in.HashKey != "" {
		h, ok := record.ParseHashKey(in.HashKey)
		if !ok {
			return Placed{}, invalidHashKey(in.HashKey)
		}
		in.Record.Hash, in.Record.Explicit = h, true
	}
	if in.Ordering != "" {
		q, err := ParseSequenceNumber(in.Ordering)
		if err != nil || q.Time > int64(s.now())/1000 {
			return Placed{}, fault.New(
				codeInvalid,
				"ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
				in.Ordering, name.Name, name.Account,
			)
		}
	}
	if in.Record.Size() > sn.info.RecordBytes {
		var v fault.Violations
		v.Hidden("data", tooLong(sn.info.RecordBytes))
		return Placed{}, v.Err()
	}
	recs, began := [1]record.Record{in.Record}, time.Now()
	placed, err := s.put(ctx, st, recs[:])
	if err != nil {
		return Placed{}, err
	}
	s.measurePut(sn, false, recs[:], placed, began)
	if f := placed[0].Fault; f != nil {
		return Placed{}, ofCall(f)
	}
	return placed[0], nil
}

// ofCall returns the fault of a record as the one of a call: AWS gives its own faults no text there.
func ofCall(f *fault.Error) *fault.Error {
	if f.Code != codeInternal {
		return f
	}
	return &fault.Error{Code: f.Code, Status: f.Status, Hint: f.Hint, Err: f.Err}
}

// PutRecords appends 1 to 500 records with one commit and returns where each went, in request order. Records of one
// shard keep their order. A fault of a single record is in its Placed; a fault of the whole call
// (ResourceNotFoundException, or as for PutRecord with the record named, or InvalidArgumentException above 10 MiB in
// all) writes nothing. Key and Data are copied, recs is not changed. Source: Kinesis API Reference, PutRecords.
func (s *Streams) PutRecords(ctx context.Context, name Name, recs []record.Record) ([]Placed, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	sn := st.snap.Load()
	if !sn.writable() {
		return nil, s.notFound(name)
	}
	total := 0
	var v fault.Violations
	for i := range recs {
		size := recs[i].Size()
		total += size
		if size > sn.info.RecordBytes {
			v.Hidden(fmt.Sprintf("records.%d.member.data", i+1), tooLong(sn.info.RecordBytes))
		}
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	if total > MaxCallBytes {
		return nil, fault.New(codeInvalid, "Records size exceeds 10 MB limit")
	}
	began := time.Now()
	placed, err := s.put(ctx, st, recs)
	if err != nil {
		return nil, err
	}
	s.measurePut(sn, true, recs, placed, began)
	if placed[0].whole {
		return nil, ofCall(placed[0].Fault)
	}
	return placed, nil
}

// RefuseHashKey returns the fault of a PutRecords call with an explicit hash key of 2^128 or more; a fault of the
// stream comes first.
func (s *Streams) RefuseHashKey(ctx context.Context, name Name, text string) error {
	st, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if !st.snap.Load().writable() {
		return s.notFound(name)
	}
	return invalidHashKey(text)
}

func (sn *snapshot) writable() bool {
	return sn.info.Status == Active || sn.info.Status == Updating
}

func invalidHashKey(text string) error {
	return fault.New(
		codeInvalid,
		"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", text,
	)
}

func tooLong(n int) string {
	return fmt.Sprintf("Member must have length less than or equal to %d", n)
}

// put routes and appends recs until each is placed or has a fault. It tries again if a shard was closed meanwhile or a
// writer was fenced.
func (s *Streams) put(ctx context.Context, st *stream, recs []record.Record) ([]Placed, error) {
	placed := make([]Placed, len(recs))
	p := scratches.Get().(*scratch)
	defer p.release()
	if c := st.chaos.Load(); c != nil {
		if err := c.judgePuts(ctx, st.snap.Load(), recs, placed); err != nil {
			return nil, err
		}
	}
	for i := range recs {
		if placed[i].Fault == nil {
			p.pending = append(p.pending, i)
		}
	}
	fenced := false
	for first := true; ; first = false {
		sn := st.snap.Load()
		if !sn.writable() {
			return nil, s.notFound(st.name)
		}
		if first { // once let through, a record is not judged again by the shard that it gets to in the end
			if s.admit(sn, p, recs, placed); len(p.pending) == 0 {
				return placed, nil
			}
		}
		closed, refenced, err := s.appendOnce(ctx, st, sn, p, recs, placed)
		if err != nil {
			return nil, err
		}
		if len(p.pending) == 0 {
			return placed, nil
		}
		if refenced {
			if fenced { // twice: another process writes to the shard
				for _, i := range p.pending {
					placed[i].Fault = internal(
						"Another process has taken over the shard; two servers must not share one store.",
					).Because(storage.ErrFenced)
				}
				return placed, nil
			}
			fenced = true
		}
		if closed {
			if err := s.awaitChildren(ctx, sn); err != nil {
				return nil, err
			}
		}
	}
}

// awaitChildren waits until the reshard that closed a shard of sn has committed its children.
func (s *Streams) awaitChildren(ctx context.Context, sn *snapshot) error {
	patience := time.NewTimer(reshardPatience)
	defer patience.Stop()
	select {
	case <-sn.changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return fmt.Errorf("put to %s: a shard is closed and has no children", sn.info.Name)
	}
}

// scratch holds what one put needs besides its records.
type scratch struct {
	pending []int    // records without a place yet, in request order
	order   []uint64 // pending records by shard: inverted shard index, then place in the request
	grouped []record.Record
	origin  []int // where in the request grouped records came from
	shards  []*shard
	batches []storage.Batch // one for each of shards; its records are a part of grouped
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (p *scratch) release() {
	p.reset()
	p.pending = p.pending[:0]
	scratches.Put(p)
}

// reset drops a grouping, so that it keeps no record of an earlier put alive.
func (p *scratch) reset() {
	clear(p.grouped)
	clear(p.shards)
	clear(p.batches)
	p.order, p.grouped, p.origin = p.order[:0], p.grouped[:0], p.origin[:0]
	p.shards, p.batches = p.shards[:0], p.batches[:0]
}

// group copies the pending records so that those of one shard are together, in request order, as one batch each. The
// shard with the highest index comes first, because recordings show that AWS assigns indexes so, and kinesalite's suite
// expects it.
func (p *scratch) group(sn *snapshot, recs []record.Record) {
	p.reset()
	for _, i := range p.pending {
		sh := sn.route(&recs[i])
		p.order = append(p.order, uint64(^uint32(sh.key.Index))<<32|uint64(i))
	}
	slices.Sort(p.order)
	for _, o := range p.order {
		p.grouped = append(p.grouped, recs[uint32(o)])
		p.origin = append(p.origin, int(uint32(o)))
	}
	from := 0
	for to := 1; to <= len(p.order); to++ {
		if to < len(p.order) && p.order[to]>>32 == p.order[from]>>32 {
			continue
		}
		p.shards = append(p.shards, sn.shards[^uint32(p.order[from]>>32)])
		p.batches = append(p.batches, storage.Batch{Records: p.grouped[from:to:to]})
		from = to
	}
}

// appendOnce routes the pending records and appends them in one call. Those that must be tried again stay pending.
func (s *Streams) appendOnce(
	ctx context.Context, st *stream, sn *snapshot, p *scratch, recs []record.Record, placed []Placed,
) (closed, fenced bool, err error) {
	p.group(sn, recs)
	for n, sh := range p.shards {
		if p.batches[n].Writer, err = s.writer(ctx, sh); err != nil {
			return false, false, s.putFault(sn.info.Name, sh, err)
		}
	}
	errs := s.log.Append(ctx, p.batches)
	p.pending = p.pending[:0]
	at := 0
	for n, sh := range p.shards {
		b := &p.batches[n]
		origin := p.origin[at : at+len(b.Records)]
		at += len(b.Records)
		switch err := errs[n]; {
		case err == nil:
			created := int64(sn.shardInfo(sh).Created) / 1000
			for j, i := range origin {
				placed[i] = Placed{
					Shard: sh.key.Index, Pos: b.Records[j].Pos, Arrival: b.Records[j].Arrival, created: created,
					Encrypted: sn.cipher.at(b.Records[j].Arrival),
				}
			}
			if sn.info.Mode == OnDemand {
				s.measureLoad(st, sh, b.Records)
			}
		// the stream was deleted meanwhile, with the records that other shards took
		case errors.Is(err, storage.ErrNotFound):
			return false, false, s.notFound(sn.info.Name)
		// the caller has left, so nothing needs the records' outcomes
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return false, false, fmt.Errorf("put to %s: %w", sn.info.Name, err)
		case errors.Is(err, storage.ErrShardClosed):
			closed = true
			p.pending = append(p.pending, origin...)
		case errors.Is(err, storage.ErrFenced):
			fenced = true
			if w := sh.writer.Load(); w != nil && *w == b.Writer {
				sh.writer.CompareAndSwap(w, nil)
			}
			p.pending = append(p.pending, origin...)
		default:
			f := s.recordFault(sn.info.Name, sh, err)
			for _, i := range origin {
				placed[i] = Placed{Shard: sh.key.Index, Fault: f}
			}
		}
	}
	slices.Sort(p.pending) // back into request order
	return closed, fenced, nil
}

// writer returns the right to append to sh, acquired at the first put and after a fence.
func (s *Streams) writer(ctx context.Context, sh *shard) (storage.Writer, error) {
	if w := sh.writer.Load(); w != nil {
		return *w, nil
	}
	select {
	case sh.acquiring <- struct{}{}:
	case <-ctx.Done():
		return storage.Writer{}, ctx.Err()
	}
	defer func() { <-sh.acquiring }()
	if w := sh.writer.Load(); w != nil {
		return *w, nil
	}
	w, _, err := s.log.Acquire(ctx, sh.key)
	if err != nil {
		return storage.Writer{}, err
	}
	sh.writer.Store(&w)
	return w, nil
}

// recordFault returns the fault of records that storage refused.
func (s *Streams) recordFault(name Name, sh *shard, err error) *fault.Error {
	switch {
	case errors.Is(err, storage.ErrBusy):
		return throttled(name, sh.key.Index).Because(err)
	case errors.Is(err, storage.ErrFull):
		return internal(hintFull).Because(err)
	}
	if !errors.Is(err, storage.ErrClosed) {
		s.slog.Error("put failed", "stream", name.ARN(), "shard", sh.key.Index.String(), "error", err)
	}
	return internal("").Because(err)
}

// putFault returns the fault of a shard that could not be acquired.
func (s *Streams) putFault(name Name, sh *shard, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return s.notFound(name)
	}
	return fmt.Errorf("put to %s of %s: %w", sh.key.Index, name, err)
}
