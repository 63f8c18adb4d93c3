package stream

import (
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// CommitmentStatus is the state of an account's commitment to pay for a minimum of throughput, in AWS's words.
type CommitmentStatus string

// The states.
const (
	CommitmentEnabled  CommitmentStatus = "ENABLED"
	CommitmentDisabled CommitmentStatus = "DISABLED"
	CommitmentLeaving  CommitmentStatus = "ENABLED_UNTIL_EARLIEST_ALLOWED_END" // it ends when it may
)

// leastCommitment is how long a commitment lasts at least.
const leastCommitment = 24 * time.Hour

// Commitment describes an account's commitment in a region. It costs nothing here, and allows what it allows on AWS:
// warm throughput, and more consumers of on-demand streams. Times that do not apply are zero.
type Commitment struct {
	Status      CommitmentStatus
	Started     time.Time
	Ended       time.Time
	EarliestEnd time.Time
}

// Active reports whether what a commitment allows is allowed.
func (c Commitment) Active() bool { return c.Status != CommitmentDisabled }

// commitmentRecord is the stored form.
type commitmentRecord struct {
	Version int           `json:"v"`
	Started record.Millis `json:"started"`
	Ended   record.Millis `json:"ended,omitempty"` // when it ends, maybe in the future; 0: it goes on
}

func accountKey(account, region string) string { return prefixAccount + account + "/" + region }

func (r *commitmentRecord) describe(now record.Millis) Commitment {
	if r.Started == 0 {
		return Commitment{Status: CommitmentDisabled}
	}
	c := Commitment{Status: CommitmentEnabled, Started: r.Started.Time(), EarliestEnd: r.earliest().Time()}
	switch {
	case r.Ended != 0 && r.Ended <= now:
		c.Status, c.Ended, c.EarliestEnd = CommitmentDisabled, r.Ended.Time(), time.Time{}
	case r.Ended != 0:
		c.Status = CommitmentLeaving
	}
	return c
}

func (r *commitmentRecord) earliest() record.Millis {
	return r.Started + record.Millis(leastCommitment.Milliseconds())
}

// Commitment returns the commitment of an account in a region. Source: Kinesis API Reference, DescribeAccountSettings.
func (s *Streams) Commitment(ctx context.Context, account, region string) (Commitment, error) {
	r, _, err := s.readCommitment(ctx, account, region)
	return r.describe(s.now()), err
}

func (s *Streams) readCommitment(ctx context.Context, account, region string) (
	r commitmentRecord, revision storage.Revision, err error,
) {
	e, err := s.coord.Get(ctx, accountKey(account, region))
	if err != nil || e.Revision == 0 {
		return r, storage.Absent, err
	}
	return r, e.Revision, decode(e, &r)
}

// SetCommitment begins or ends the commitment of an account in a region, and returns it when that is durable. It lasts
// for a day at least: ended earlier, it goes on until then, and may be kept by beginning it again. What is so already
// stays as it is. Source: Kinesis API Reference, UpdateAccountSettings.
func (s *Streams) SetCommitment(ctx context.Context, account, region string, enabled bool) (Commitment, error) {
	for race := (storage.Race{}); ; {
		r, revision, err := s.readCommitment(ctx, account, region)
		if err != nil {
			return Commitment{}, err
		}
		now := s.now()
		switch before := r.describe(now).Status; {
		case enabled && before == CommitmentDisabled:
			r = commitmentRecord{Started: now}
		case enabled && before == CommitmentLeaving:
			r.Ended = 0
		case !enabled && before == CommitmentEnabled:
			r.Ended = max(now, r.earliest())
		default:
			return r.describe(now), nil
		}
		r.Version = metaVersion
		_, err = s.coord.Commit(ctx, group,
			storage.Op{Key: accountKey(account, region), Value: encode(r), Expect: revision})
		if errors.Is(err, storage.ErrConflict) {
			if err := race.Lost(revision, err); err != nil {
				return Commitment{}, err
			}
			continue
		}
		return r.describe(now), err
	}
}

// Usage is what an account has in a region, and may have at most.
type Usage struct {
	OpenShards, ShardQuota               int // of provisioned streams
	OnDemandStreams, OnDemandStreamQuota int
}

// Usage returns what an account has in a region. Source: Kinesis API Reference, DescribeLimits.
func (s *Streams) Usage(ctx context.Context, account, region string) (Usage, error) {
	if err := s.ready(ctx); err != nil {
		return Usage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	held := s.held(Name{Account: account, Region: region})
	return Usage{held.shards, s.quota, held.onDemand, OnDemandQuota}, nil
}
