package stream

import (
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Bounds of a retention period, in hours.
const (
	leastRetention = 24
	mostRetention  = 8760
)

// set changes the settings of an ACTIVE stream, and returns when they are in effect and durable. change edits the
// record, or refuses; same means that nothing is to be changed.
func (s *Streams) set(
	ctx context.Context, name Name, change func(info *Info, r *streamRecord) (same bool, err error),
) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	err = s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		info := r.info()
		info.Shards = st.snap.Load().info.Shards
		same, err := change(&info, r)
		switch {
		case err != nil:
			return nil, err
		case r.Status != Active:
			return nil, notActive(name, r.Status)
		case same:
			return nil, errUnchanged
		}
		s.beginUpdate(r)
		return nil, nil
	}, st.renewed)
	switch {
	case err == nil:
		s.schedulePaced(st)
	case errors.Is(err, errUnchanged):
		return nil
	}
	return err
}

// SetMode sets how a stream's capacity is set; the shards stay as they are, unless warm wants more (see SetWarm; nil:
// no change). A provisioned stream has no warm throughput. Faults: ResourceNotFoundException, InvalidArgumentException
// as for SetWarm, ResourceInUseException unless ACTIVE, LimitExceededException over the quota of on-demand streams, or
// of shards of provisioned ones. Source: Kinesis API Reference, UpdateStreamMode.
func (s *Streams) SetMode(ctx context.Context, name Name, mode Mode, warm *int) error {
	if _, err := s.find(ctx, name); err != nil {
		return err
	}
	if warm != nil {
		if err := s.checkWarm(ctx, name, mode, *warm); err != nil {
			return err
		}
	}
	var c *claim
	defer func() { s.release(c) }()
	err := s.reshapeWith(ctx, name, func(info *Info, r *streamRecord) (steps []step, err error) {
		if r.Status != Active {
			return nil, notActive(name, r.Status)
		}
		target := 0
		if mode == OnDemand {
			target = r.Warm
			if warm != nil {
				target = *warm
			}
		}
		if r.Mode == mode && r.Warm == target {
			return nil, errUnchanged
		}
		if r.Mode != mode {
			if c, err = s.claimQuota(info, mode, info.OpenShards()); err != nil {
				return nil, err
			}
			if err = s.countChange(r, changesOfMode); err != nil {
				return nil, err
			}
		}
		r.Mode, r.Warm, r.WarmBefore = mode, target, r.Warm
		return widen(info.Shards, target), nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// SetRecordBytes sets the largest size of a record, data plus partition key, for puts to come. Faults:
// ResourceNotFoundException, ResourceInUseException unless ACTIVE. Source: Kinesis API Reference, UpdateMaxRecordSize.
func (s *Streams) SetRecordBytes(ctx context.Context, name Name, n int) error {
	return s.set(ctx, name, func(_ *Info, r *streamRecord) (bool, error) {
		same := r.RecordBytes == n
		r.RecordBytes = n
		return same, nil
	})
}

// IncreaseRetention makes the retention period of a stream longer. What had expired before stays so. The present length
// is accepted. Faults, in this order: ResourceNotFoundException, InvalidArgumentException for a period out of AWS's
// bounds or shorter than the present one, ResourceInUseException unless ACTIVE. Source: Kinesis API Reference,
// IncreaseStreamRetentionPeriod.
func (s *Streams) IncreaseRetention(ctx context.Context, name Name, hours int) error {
	return s.setRetention(ctx, name, hours, func(now int) error {
		if hours >= now {
			return nil
		}
		return fault.New(codeInvalid,
			"Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). "+
				"Use DecreaseRetentionPeriod API.", hours, name.Name, now)
	})
}

// DecreaseRetention makes the retention period of a stream shorter: what is older is not readable when it returns. The
// present length is accepted. Faults: as IncreaseRetention, for a longer period. Source: Kinesis API Reference,
// DecreaseStreamRetentionPeriod.
func (s *Streams) DecreaseRetention(ctx context.Context, name Name, hours int) error {
	return s.setRetention(ctx, name, hours, func(now int) error {
		if hours <= now {
			return nil
		}
		return fault.New(codeInvalid,
			"Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). "+
				"Use IncreaseRetentionPeriod API.", hours, name.Name, now)
	})
}

func (s *Streams) setRetention(ctx context.Context, name Name, hours int, check func(now int) error) error {
	return s.set(ctx, name, func(_ *Info, r *streamRecord) (bool, error) {
		if hours < leastRetention {
			return false, fault.New(codeInvalid,
				"Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.",
				leastRetention, hours)
		}
		if hours > mostRetention {
			return false, fault.New(codeInvalid,
				"Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.",
				mostRetention, hours)
		}
		if err := check(int(time.Duration(r.RetentionMS) * time.Millisecond / time.Hour)); err != nil {
			return false, err
		}
		before := r.RetentionMS
		r.RetentionMS = (time.Duration(hours) * time.Hour).Milliseconds()
		if r.RetentionMS > before { // what has expired by now stays so
			r.Trimmed = max(r.Trimmed, s.now()-record.Millis(before))
		}
		return r.RetentionMS == before, nil
	})
}
