package stream

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// birthOffset is how long before the call a stream's first shards count as created, in milliseconds. On AWS they are 2
// to 7 s old when the call returns.
const birthOffset = 2000

// maxNameBytes bounds the parts of a name, so that an iterator fits into the 512 characters that AWS allows it.
const maxNameBytes = 128

// CreateInput describes a new stream.
type CreateInput struct {
	Mode        Mode // "": Provisioned when Shards is given, else OnDemand
	Shards      int  // 0: not given. Ignored for OnDemand, which starts with four
	RecordBytes int  // largest record, data plus partition key; 0: 1 MiB
	Warm        *int // warm throughput in MiB a second, see SetWarm: as many shards are created; nil: none
	Tags        map[string]string
}

// Create makes a stream and returns when it is durable and ACTIVE; with a pace, when it is durable. Faults:
// ResourceInUseException when the name is taken in any state, LimitExceededException over the shard or on-demand quota
// and, with a pace, for a sixth stream that is CREATING, InvalidArgumentException for a provisioned stream without a
// shard count and for bad tags. Source: Kinesis API Reference, CreateStream.
func (s *Streams) Create(ctx context.Context, name Name, in CreateInput) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if len(name.Name) > maxNameBytes || len(name.Region) > maxNameBytes || len(name.Account) > maxNameBytes {
		return fault.New(
			codeInvalid, "The name, the region and the account of a stream have at most %d bytes each.", maxNameBytes,
		)
	}
	if in.Mode == "" {
		in.Mode = OnDemand
		if in.Shards > 0 {
			in.Mode = Provisioned
		}
	}
	if in.Mode == OnDemand {
		in.Shards = max(onDemandShards, in.warm())
	}
	if in.Warm != nil {
		if err := s.checkWarm(ctx, name, in.Mode, *in.Warm); err != nil {
			return err
		}
	}
	if in.RecordBytes == 0 {
		in.RecordBytes = DefaultRecordBytes
	}
	st, err := s.reserve(name, in)
	if err != nil {
		return err
	}
	err = s.record(ctx, st, in)
	if err != nil {
		s.forget(st)
		s.lookAgain() // another process may have taken the name by now
		return err
	}
	if s.schedulePaced(st) {
		return nil
	}
	st.working <- struct{}{}
	defer func() { <-st.working }()
	if err := s.activate(ctx, st); err != nil {
		// What exists by now would be an ACTIVE stream after the next start, although the caller learns that the
		// creation failed.
		undo := s.setStatus(context.WithoutCancel(ctx), st, Deleting)
		if undo == nil {
			undo = s.erase(context.WithoutCancel(ctx), st)
		}
		if undo != nil { // a stream that stays as it is could be neither used nor deleted
			s.scheduleAgain(st, undo)
		}
		return errors.Join(err, undo)
	}
	return nil
}

func (in *CreateInput) warm() int {
	if in.Warm == nil {
		return 0
	}
	return *in.Warm
}

// reserve takes the name in memory, so that no other call creates it meanwhile, and checks the quotas.
func (s *Streams) reserve(name Name, in CreateInput) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[name] != nil {
		return nil, fault.New(codeInUse, "Stream %s under account %s already exists.", name.Name, name.Account)
	}
	if in.Mode == Provisioned && in.Shards == 0 {
		return nil, fault.New(codeInvalid, "ShardCount must be provided for provisioned streams.")
	}
	if err := checkTags(name, in.Tags); err != nil {
		return nil, err
	}
	if len(in.Tags) > tagQuota {
		return nil, tooManyTags(name)
	}
	held := s.held(name)
	if s.pace.Creating > 0 && held.creating >= creatingQuota {
		return nil, fault.New(codeLimit,
			"This request would exceed the limit of %d streams in the CREATING state for the account %s in %s.",
			creatingQuota, name.Account, name.Region)
	}
	if err := s.checkQuotas(name, in.Mode, in.Shards, held); err != nil {
		return nil, err
	}
	now := s.now()
	r := streamRecord{
		Account: name.Account, Region: name.Region, Name: name.Name, Status: Creating, Mode: in.Mode,
		Created: now, RetentionMS: DefaultRetention.Milliseconds(), RecordBytes: in.RecordBytes, Tags: in.Tags,
		Due: s.dueAfter(s.pace.Creating), Warm: in.warm(),
	}
	info := r.info()
	for i, rng := range evenRanges(in.Shards) {
		info.Shards = append(info.Shards, ShardInfo{ID: record.ShardID(i), Range: rng, Created: now - birthOffset})
	}
	st := newStream(newSnapshot(info, in.Tags, 0, nil))
	s.byName[name] = st
	return st, nil
}

// holding is what an account has in a region.
type holding struct {
	shards   int // open ones of provisioned streams
	onDemand int // streams
	creating int // streams
}

// held counts what the account has in the region of name, without the stream of that name. A stream that is changing
// counts as what it is and as what it becomes. s.mu is held.
func (s *Streams) held(name Name) (h holding) {
	for other, st := range s.byName {
		if other == name || other.Account != name.Account || other.Region != name.Region {
			continue
		}
		sn := st.snap.Load()
		if sn.info.Status == Creating {
			h.creating++
		}
		shards := 0
		if sn.info.Mode == Provisioned {
			shards = len(sn.open)
		}
		if c := st.claim; c != nil && c.mode == Provisioned {
			shards = max(shards, c.shards)
		}
		h.shards += shards
		if sn.info.Mode == OnDemand || st.claim != nil && st.claim.mode == OnDemand {
			h.onDemand++
		}
	}
	return h
}

// claim is what a stream becomes by a change that the quotas have let through and that is not in effect yet.
type claim struct {
	of     *stream
	mode   Mode
	shards int // open ones, at most
}

// claimQuota lets a change through by which a stream has a mode and more open shards that count than it has, and counts
// the stream as changed until the claim is released, or the stream is ACTIVE again: so two changes at once cannot
// exceed a quota together. Faults: LimitExceededException; ResourceNotFoundException.
func (s *Streams) claimQuota(info *Info, mode Mode, more int) (*claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.byName[info.Name]
	if st == nil {
		return nil, s.notFound(info.Name)
	}
	if err := s.checkMore(info, mode, more); err != nil {
		return nil, err
	}
	shards := more
	if info.Mode == Provisioned {
		shards += info.OpenShards()
	}
	st.claim = &claim{st, mode, shards}
	return st.claim, nil
}

// release ends a claim, if it has not ended.
func (s *Streams) release(c *claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil && c.of.claim == c {
		c.of.claim = nil
	}
}

// checkMore refuses a mode, or more additional open shards that count, than the account's quotas leave. s.mu is held.
func (s *Streams) checkMore(info *Info, mode Mode, more int) error {
	if mode == Provisioned && more <= 0 {
		return nil
	}
	held := s.held(info.Name)
	if info.Mode == Provisioned {
		held.shards += info.OpenShards()
	}
	return s.checkQuotas(info.Name, mode, more, held)
}

// checkQuotas refuses a stream of a mode with more shards, of which the account has none among held.
func (s *Streams) checkQuotas(name Name, mode Mode, shards int, held holding) error {
	if mode == OnDemand && held.onDemand >= OnDemandQuota {
		return fault.New(codeLimit,
			"This request would exceed the on-demand stream limit for the account %s in %s. Current on-demand stream count for the account: %d. Limit: %d.",
			name.Account, name.Region, held.onDemand, OnDemandQuota)
	}
	if mode == Provisioned && held.shards+shards > s.quota {
		return fault.New(codeLimit,
			"This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. "+
				"Number of additional shards that would have resulted from this request: %d. Refer to the AWS Service Limits page "+
				"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
			name.Account, name.Region, held.shards, s.quota, shards)
	}
	return nil
}

// record allocates the stream's id and commits it together with the stream and its shards, CREATING: from here on the
// next start completes the creation after a crash.
func (s *Streams) record(ctx context.Context, st *stream, in CreateInput) error {
	sn := st.snap.Load()
	for race := (storage.Race{}); ; {
		last, err := s.coord.Get(ctx, keyID)
		if err != nil {
			return err
		}
		var id uint64
		if last.Revision != 0 {
			if id, err = strconv.ParseUint(string(last.Value), 10, 32); err != nil {
				return fmt.Errorf("read %s: %w: %w", keyID, storage.ErrCorrupt, err)
			}
		}
		if id++; id > 1<<32-1 {
			return errors.New("create stream: every numeric stream id has been used")
		}
		info := sn.info
		info.ID = uint32(id)
		r := streamRecord{
			ID: info.ID, Account: info.Name.Account, Region: info.Name.Region,
			Name: info.Name.Name, Status: Creating, Mode: info.Mode,
			Created: record.MillisOf(info.Created), RetentionMS: info.Retention.Milliseconds(),
			RecordBytes: info.RecordBytes, Tags: in.Tags, Due: info.Due, Warm: info.Warm,
		}
		ops := make([]storage.Op, 0, 2+len(info.Shards))
		ops = append(ops,
			// first: it tells whose commit it was, which the last number cannot
			storage.Op{Key: nameKey(st.name), Value: encodeStream(r), Expect: storage.Absent},
			storage.Op{Key: keyID, Value: strconv.AppendUint(nil, id, 10), Expect: last.Revision})
		for i := range info.Shards {
			ops = append(ops, storage.Op{
				Key: shardKey(info.ID, info.Shards[i].ID), Value: encodeShard(&info.Shards[i]), Expect: storage.Absent,
			})
		}
		revision, err := s.coord.Commit(ctx, group, ops...)
		if errors.Is(err, storage.ErrConflict) {
			if err := s.clear(ctx, st.name); err != nil {
				return err
			}
			if err := race.Lost(last.Revision, err); err != nil {
				return fmt.Errorf("create %s: %w", st.name, err)
			}
			continue
		}
		if err != nil {
			if !storage.Unchanged(err) {
				s.doubt(st.name, info.ID)
			}
			return err
		}
		st.id.Store(info.ID)
		s.install(st, newSnapshot(info, in.Tags, revision, nil))
		s.mu.Lock()
		s.byID[info.ID] = st
		s.mu.Unlock()
		return nil
	}
}

// clear removes what a creation of unknown outcome has left under a name without a stream in this process. A name that
// another process has taken is in use.
func (s *Streams) clear(ctx context.Context, name Name) error {
	e, err := s.coord.Get(ctx, nameKey(name))
	if err != nil || e.Revision == 0 {
		return err
	}
	r, err := decodeStream(e)
	if err != nil {
		return err
	}
	if r.Status != Creating || !s.settleDoubt(name, r.ID) {
		return fault.New(codeInUse, "Stream %s under account %s already exists.", name.Name, name.Account)
	}
	shards, err := s.coord.List(ctx, fmt.Sprintf("%s%010d/", prefixShard, r.ID), "", 0)
	if err != nil {
		return err
	}
	ops := []storage.Op{{Key: e.Key, Expect: e.Revision}}
	for _, sh := range shards {
		ops = append(ops, storage.Op{Key: sh.Key, Expect: sh.Revision})
	}
	if _, err := s.coord.Commit(ctx, group, ops...); err != nil {
		return fmt.Errorf("clear what is left of %s: %w", name, err)
	}
	return nil
}

// activate creates the shards in storage and then makes the stream ACTIVE. st.working is held.
func (s *Streams) activate(ctx context.Context, st *stream) error {
	sn := st.snap.Load()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, sh := range sn.shards {
		g.Go(func() error {
			if err := s.log.Create(gctx, sh.key, 0); err != nil && !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("create %s: %w", sh.key.Index, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := s.setStatusIf(ctx, st, Active, s.unlessDeleting(st)); err != nil {
		return err
	}
	s.wakeSweeper()
	return nil
}

func (s *Streams) setStatus(ctx context.Context, st *stream, status Status) error {
	return s.setStatusIf(ctx, st, status, func(Status) error { return nil })
}

// setStatusIf sets the status unless allowed refuses the stored one.
func (s *Streams) setStatusIf(ctx context.Context, st *stream, status Status, allowed func(now Status) error) error {
	return s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		if err := allowed(r.Status); err != nil {
			return nil, err
		}
		r.Status, r.Due = status, 0
		if status == Deleting {
			r.Due = s.dueAfter(s.pace.Deleting)
		}
		return nil, nil
	}, st.renewed)
}

// Delete removes a stream with its records and tags, and returns when that is durable; with a pace, when the stream is
// DELETING. It waits for a creation or another change of the stream to end; with a pace a CREATING stream is deleted at
// once. Faults: ResourceNotFoundException; ResourceInUseException while another call deletes it and, with a pace, while
// it is UPDATING, and while it has consumers. Source: Kinesis API Reference, DeleteStream.
func (s *Streams) Delete(ctx context.Context, name Name) error { return s.delete(ctx, name, false) }

// DeleteWithConsumers is Delete for a stream with its consumers: they are DELETING as long as it is.
func (s *Streams) DeleteWithConsumers(ctx context.Context, name Name) error {
	return s.delete(ctx, name, true)
}

func (s *Streams) delete(ctx context.Context, name Name, consumers bool) error {
	for {
		st, err := s.settled(ctx, name)
		if err != nil {
			return err
		}
		waited := st.snap.Load().info
		err = s.setStatusIf(ctx, st, Deleting, func(now Status) error {
			switch now {
			case Updating, Creating:
				switch {
				case now == Creating && waited.Due != 0:
					return nil
				case now == waited.Status: // for as long as settled waits
					return notActive(name, now)
				}
				return errUnsettled
			case Deleting:
				return notActive(name, now)
			case Active:
			}
			if !consumers && len(st.snap.Load().registered(s.now())) > 0 {
				return hasConsumers(name)
			}
			return nil
		})
		switch {
		case errors.Is(err, errUnsettled):
			continue // a reshard began in between
		case err != nil:
			return err
		}
		if s.schedulePaced(st) {
			return nil
		}
		st.working <- struct{}{}
		defer func() { <-st.working }()
		err = s.erase(context.WithoutCancel(ctx), st)
		if err != nil {
			s.scheduleAgain(st, err)
		}
		return err
	}
}

// erase deletes a DELETING stream's records, then its metadata. After a crash between the two the next start completes
// it. st.working is held.
func (s *Streams) erase(ctx context.Context, st *stream) error {
	sn := st.snap.Load()
	if err := s.log.Delete(ctx, sn.info.ID); err != nil {
		return fmt.Errorf("delete records of %s: %w", st.name, err)
	}
	ops := []storage.Op{{Key: nameKey(st.name), Expect: storage.Any}, {Key: planKey(sn.info.ID), Expect: storage.Any}}
	for _, sh := range sn.shards {
		ops = append(ops, storage.Op{Key: shardKey(sn.info.ID, sh.key.Index), Expect: storage.Any})
	}
	ops = append(ops, consumerOps(sn, nil)...)
	if _, err := s.coord.Commit(ctx, group, ops...); err != nil {
		return fmt.Errorf("delete metadata of %s: %w", st.name, err)
	}
	s.forget(st)
	s.meters.forget(sn.info.ID)
	return nil
}

// evenRanges cuts the hash key space into n parts of floor(2^128 / n); the last one reaches to the end, as on AWS.
func evenRanges(n int) []record.HashKeyRange {
	width := new(big.Int).Lsh(big.NewInt(1), 128)
	width.Div(width, big.NewInt(int64(n)))
	out := make([]record.HashKeyRange, n)
	start, end := new(big.Int), new(big.Int)
	one := big.NewInt(1)
	for i := range out {
		end.Add(start, width)
		start.FillBytes(out[i].Start[:])
		if i == n-1 {
			out[i].End = record.MaxHashKey
			break
		}
		new(big.Int).Sub(end, one).FillBytes(out[i].End[:])
		start.Set(end)
	}
	return out
}
