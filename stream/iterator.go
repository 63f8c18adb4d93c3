package stream

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// IteratorType says where a shard iterator begins, in AWS's words.
type IteratorType string

// The five types.
const (
	IterAt          IteratorType = "AT_SEQUENCE_NUMBER"
	IterAfter       IteratorType = "AFTER_SEQUENCE_NUMBER"
	IterTrimHorizon IteratorType = "TRIM_HORIZON"
	IterLatest      IteratorType = "LATEST"
	IterAtTimestamp IteratorType = "AT_TIMESTAMP"
)

// IteratorInput says where an iterator begins.
type IteratorInput struct {
	Shard     string // as the caller wrote it
	Type      IteratorType
	Sequence  string // StartingSequenceNumber, "" for none
	Timestamp *record.Millis
}

// Iterator issues a shard iterator: a place, not a cursor. It may be used often and by several readers, for five
// minutes, even across restarts. Faults: ResourceNotFoundException for a malformed or unknown shard,
// InvalidArgumentException for a start that does not fit. Source: Kinesis API Reference, GetShardIterator.
func (s *Streams) Iterator(ctx context.Context, name Name, in IteratorInput) (string, error) {
	id, ok := ParseShardID(in.Shard)
	if !ok {
		return "", malformedShard(name, in.Shard)
	}
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	s.mu.RLock()
	st := s.byName[name]
	s.mu.RUnlock()
	if st == nil {
		return "", s.shardMissing(name, id)
	}
	sn := st.snap.Load()
	sh, ok := sn.live(id, s.now())
	if !ok {
		return "", s.shardMissing(name, id)
	}
	if b := s.budgetOf(sh); b != nil && !b.iterator(s.clock.Now()) {
		return "", readThrottled(name, id)
	}
	pos, err := s.startOf(ctx, sn, sh, in)
	if err != nil {
		return "", err
	}
	return s.issue(sn, sh, pos), nil
}

// startOf returns the position at which an iterator begins, after checks in AWS's order.
func (s *Streams) startOf(ctx context.Context, sn *snapshot, sh *shard, in IteratorInput) (record.Position, error) {
	const either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
		"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and "
	switch in.Type {
	case IterAt, IterAfter:
		if in.Sequence == "" {
			return 0, fault.New(codeInvalid, either+"no StartingSequenceNumber.", in.Type)
		}
		pos, err := s.positionOf(sn, sh, in.Sequence)
		if in.Type == IterAfter && err == nil {
			pos = min(pos+1, record.MaxPosition)
		}
		return pos, err
	case IterTrimHorizon, IterLatest:
		if in.Sequence != "" {
			return 0, fault.New(codeInvalid, either+"also a StartingSequenceNumber.", in.Type)
		}
		if in.Type == IterLatest {
			return s.resolve(ctx, sn, sh, Start{Kind: Latest})
		}
		return s.resolve(ctx, sn, sh, Start{Kind: TrimHorizon})
	case IterAtTimestamp:
		if in.Timestamp == nil {
			return 0, fault.New(
				codeInvalid,
				"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.",
			)
		}
		if now := s.now(); *in.Timestamp > now {
			return 0, fault.New(codeInvalid,
				"The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
					"timestampInMillis: %d, currentTimestampInMillis: %d", *in.Timestamp, now)
		}
		return s.resolve(ctx, sn, sh, Start{Kind: AtTimestamp, At: max(*in.Timestamp, 0)})
	}
	return 0, fault.New(codeInvalid, "ShardIteratorType %s is unknown.", clip(string(in.Type)))
}

// positionOf returns the position that a sequence number stands for in sh.
func (s *Streams) positionOf(sn *snapshot, sh *shard, text string) (record.Position, error) {
	info, name := sn.shardInfo(sh), sn.info.Name
	q, err := ParseSequenceNumber(text)
	if err != nil {
		return 0, fault.New(codeInvalid,
			"StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid.",
			text, info.ID, name.Name, name.Account)
	}
	if q.Shard != info.ID {
		return 0, fault.New(
			codeInvalid,
			"Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			q.shardText(), info.ID,
		)
	}
	if q.Version == 0 {
		f := internal("")
		f.Message = "" // AWS's fault has no text here
		return 0, f
	}
	if q.Version != seqVersion || q.Created != int64(info.Created)/1000 {
		return 0, fault.New(codeInvalid,
			"StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.",
			text, info.ID, name.Name, name.Account)
	}
	return q.Pos, nil
}

func (s *Streams) issue(sn *snapshot, sh *shard, pos record.Position) string {
	p := place{stream: sn.info.ID, shard: sh.key.Index, pos: pos, issued: s.now(), name: sn.info.Name}
	return s.tokens.seal(kindIterator, p.encode())
}

// GetRecordsInput is the input of GetRecords.
type GetRecordsInput struct {
	Iterator string // one pair of double quotes around it is stripped
	Limit    int    // 1 to 10000; 0: 10000
	Stream   *Name  // the stream that the caller expects; nil: any
	Caller   Caller // whom the records are for
}

// GetRecordsOutput is what GetRecords returns besides the records.
type GetRecordsOutput struct {
	Next     string  // the iterator to continue with; "" at the end of the shard
	Behind   int64   // milliseconds
	Children []Child // only at the end of the shard, and never empty there
}

// GetRecords visits up to Limit records and 10 MiB from the iterator's place on, without waiting for more. begin is
// called once before the first visit, with the shard that all records come from. The records must not be changed.
// Faults: InvalidArgumentException for an iterator that is not ours, of another region or of another stream,
// AccessDeniedException, ExpiredIteratorException after five minutes, ResourceNotFoundException when the stream or
// shard is gone, ProvisionedThroughputExceededException beyond the shard's rate if that is limited. Source: Kinesis API
// Reference, GetRecords.
func (s *Streams) GetRecords(
	ctx context.Context, in GetRecordsInput, begin func(*ShardInfo), visit func(record.Record),
) (GetRecordsOutput, error) {
	var out GetRecordsOutput
	if err := s.ready(ctx); err != nil {
		return out, err
	}
	p, err := s.openIterator(in)
	if err != nil {
		return out, err
	}
	sn, ok, err := s.byNumber(ctx, p.stream)
	if err != nil {
		return out, err
	}
	if !ok {
		return out, s.shardMissing(p.name, p.shard)
	}
	sh, ok := sn.live(p.shard, s.now())
	if !ok {
		return out, s.shardMissing(p.name, p.shard)
	}
	if err := s.chaosOfRead(ctx, sn, p.shard); err != nil {
		return out, err
	}
	budget := s.budgetOf(sh)
	if budget != nil && !budget.mayRead(s.clock.Now()) {
		err := readThrottled(p.name, p.shard)
		s.measureRead(sn, p.shard, &reading{}, err)
		return out, err
	}
	begin(sn.readable(sh))

	limit := storage.Limit{Records: min(in.Limit, MaxReadRecords), Bytes: MaxReadBytes}
	if limit.Records <= 0 {
		limit.Records = MaxReadRecords
	}
	got := reading{began: time.Now()}
	from, end := p.pos, storage.End{}
	for {
		var next record.Position
		next, end, err = s.Read(ctx, p.stream, p.shard, from, limit, func(r record.Record) {
			got.saw(&r)
			visit(r)
		})
		if err != nil {
			s.measureRead(sn, p.shard, &got, err)
			return out, err
		}
		if end.Kind != storage.Trimmed {
			from = next
			break
		}
		from = end.Oldest // a place behind the horizon moves to it silently
	}
	now := s.now()
	s.measureRead(sn, p.shard, &got, nil)
	if budget != nil {
		budget.hasRead(s.clock.Now(), got.bytes)
	}
	if end.Kind == storage.ShardEnd && got.records == 0 {
		return s.shardEnd(ctx, p, now)
	}
	if end.Kind == storage.More {
		_, tip, _, err := s.log.Bounds(ctx, sh.key)
		if err != nil {
			return out, s.readFault(p.name, p.shard, err)
		}
		if from < tip {
			out.Behind = max(int64(now-got.last), 0)
		}
	}
	out.Next = s.issue(sn, sh, from)
	return out, nil
}

// shardEnd returns the output once a closed shard is read to its end.
func (s *Streams) shardEnd(ctx context.Context, p place, now record.Millis) (GetRecordsOutput, error) {
	sn, ok, err := s.byNumber(ctx, p.stream)
	if err != nil {
		return GetRecordsOutput{}, err
	}
	if !ok {
		return GetRecordsOutput{}, s.shardMissing(p.name, p.shard)
	}
	closed := sn.info.Shards[p.shard].Closed
	return GetRecordsOutput{Behind: max(int64(now-closed), 0), Children: sn.info.Children(p.shard)}, nil
}

// openIterator checks an iterator in AWS's order: first whether it is ours and the caller's, then its age, all before
// the stream is looked up. A region cannot read the iterators of another one.
func (s *Streams) openIterator(in GetRecordsInput) (place, error) {
	token := in.Iterator
	if len(token) >= 2 && strings.HasPrefix(token, `"`) && strings.HasSuffix(token, `"`) {
		token = token[1 : len(token)-1]
	}
	invalid := fault.New(codeInvalid, "Invalid ShardIterator.")
	payload, ok := s.tokens.open(kindIterator, token)
	if !ok {
		return place{}, invalid
	}
	p, ok := decodePlace(payload)
	now := s.now()
	if !ok || p.issued > now || p.pos > math.MaxInt64 || in.Caller.Region != "" && p.name.Region != in.Caller.Region {
		return place{}, invalid
	}
	if err := s.Authorize(in.Caller, p.name, "GetRecords"); err != nil {
		return place{}, err
	}
	if int64(now-p.issued) > s.life.Milliseconds() {
		return place{}, fault.New(codeExpiredIterator,
			"Iterator expired. The iterator was created at time %s while right now it is %s "+
				"which is further in the future than the tolerated delay of %d milliseconds.",
			expiredTime(p.issued.Time()), expiredTime(now.Time()), s.life.Milliseconds())
	}
	if in.Stream != nil && *in.Stream != p.name {
		return place{}, fault.New(
			codeInvalid, "The ShardIterator belongs to stream %s, not to %s.", p.name.ARN(), in.Stream.ARN(),
		)
	}
	return p, nil
}
