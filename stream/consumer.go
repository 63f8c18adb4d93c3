package stream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Quotas of registered consumers, and AWS's page size.
const (
	ConsumerQuota         = 20 // consumers of one stream, in any state
	committedQuota        = 50 // the same for an on-demand stream of an account with a Commitment
	creatingConsumerQuota = 5  // of those, how many are CREATING at once; only with a pace
	MaxListConsumers      = 100
)

// anyCreation is the creation time of a ConsumerID that means whichever consumer has the name.
const anyCreation = -1

// ConsumerID identifies a registered consumer: a name that is registered again makes another consumer, with another
// creation time. ConsumerNamed and ParseConsumerARN make one.
type ConsumerID struct {
	Stream  Name
	Name    string
	Created int64 // epoch seconds
}

// ConsumerNamed identifies whichever consumer of a stream has a name.
func ConsumerNamed(of Name, name string) ConsumerID { return ConsumerID{of, name, anyCreation} }

// ARN returns the Amazon resource name of the consumer. An id of ConsumerNamed has none.
func (c ConsumerID) ARN() string {
	return c.Stream.ARN() + "/consumer/" + c.Name + ":" + strconv.FormatInt(c.Created, 10)
}

// ParseConsumerARN reads the ARN of a consumer; accounts are read as by ParseARN. Fault: InvalidArgumentException for
// text that is not the ARN of a consumer.
func ParseConsumerARN(text, callerAccount string) (id ConsumerID, hint string, err error) {
	ofStream, consumer, ok := strings.Cut(text, "/consumer/")
	name, created, timed := strings.Cut(consumer, ":")
	if !ok || !timed || name == "" || strings.ContainsAny(name, "/") || !isDigits(created) {
		return ConsumerID{}, "", fault.New(codeInvalid, "%s is not the ARN of a consumer.", clip(text))
	}
	id = ConsumerID{Name: name}
	id.Stream, hint, err = ParseARN(ofStream, callerAccount)
	if err != nil {
		return ConsumerID{}, "", fault.New(codeInvalid, "%s is not the ARN of a consumer.", clip(text))
	}
	n, err := strconv.ParseInt(created, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != created {
		n = math.MaxInt64 // well-formed, and nobody's
	}
	id.Created = n
	return id, hint, nil
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// Consumer describes a registered consumer at one moment.
type Consumer struct {
	ID      ConsumerID
	Created time.Time // to the millisecond
	Status  Status    // CREATING, ACTIVE or DELETING
}

// ARN returns the Amazon resource name of the consumer.
func (c *Consumer) ARN() string { return c.ID.ARN() }

// consumer is one version of a registered consumer; it never changes.
type consumer struct {
	name    string
	created record.Millis
	due     record.Millis // when its creation, or its deletion, ends
	leaving bool          // it is being deleted, or is gone
	tags    map[string]string
	policy  string
}

func (c *consumer) seconds() int64 { return int64(c.created) / 1000 }

// gone reports whether c is only kept so that its name does not get its creation time again.
func (c *consumer) gone(now record.Millis) bool { return c.leaving && c.due <= now }

// needed reports whether c must be kept in the store.
func (c *consumer) needed(now record.Millis) bool {
	return !c.gone(now) || c.seconds() >= int64(now)/1000
}

func (c *consumer) status(of Status, now record.Millis) Status {
	switch {
	case c.leaving || of == Deleting:
		return Deleting
	case now < c.due:
		return Creating
	}
	return Active
}

func (sn *snapshot) describe(c *consumer, now record.Millis) Consumer {
	return Consumer{
		ID:      ConsumerID{sn.info.Name, c.name, c.seconds()},
		Created: c.created.Time(), Status: c.status(sn.info.Status, now),
	}
}

// registered returns the consumers that are not gone, by name.
func (sn *snapshot) registered(now record.Millis) []*consumer {
	out := make([]*consumer, 0, len(sn.consumers))
	for _, c := range sn.consumers {
		if !c.gone(now) {
			out = append(out, c)
		}
	}
	return out
}

// consumer finds a consumer that is not gone; nil: there is none.
func (sn *snapshot) consumer(id ConsumerID, now record.Millis) *consumer {
	for _, c := range sn.consumers {
		if c.name == id.Name && (id.Created == anyCreation || id.Created == c.seconds()) && !c.gone(now) {
			return c
		}
	}
	return nil
}

// withConsumers returns sn with other consumers. The shard list is the same, so no waiter is woken, unless he may read
// for a consumer that is gone.
func (sn *snapshot) withConsumers(all []*consumer, revision storage.Revision) *snapshot {
	c := *sn
	c.consumers, c.revision = all, revision
	for _, old := range sn.consumers {
		if key := keyOf(sn, old); sn.serves(key) && !c.serves(key) {
			c.changed = make(chan struct{})
			break
		}
	}
	return &c
}

func consumerMissing(id ConsumerID) error {
	return fault.New(codeNotFound, "Consumer %s under stream %s and account %s not found.", id.Name, id.Stream.Name,
		id.Stream.Account)
}

// consumerNotActive returns the fault for a change of a consumer that is CREATING or DELETING.
func consumerNotActive(c *Consumer) error {
	return fault.New(codeInUse,
		"Consumer %s with creation timestamp %d under stream %s and account %s is not in ACTIVE status.",
		c.ID.Name, c.ID.Created, c.ID.Stream.Name, c.ID.Stream.Account)
}

// RegisterConsumer registers a consumer, and returns when that is durable. Without a pace it is ACTIVE. Faults:
// ResourceNotFoundException; ResourceInUseException unless the stream is ACTIVE, and when the name is taken;
// LimitExceededException over the quotas; InvalidArgumentException for bad tags. Source: Kinesis API Reference,
// RegisterStreamConsumer.
func (s *Streams) RegisterConsumer(
	ctx context.Context, of Name, name string, tags map[string]string,
) (Consumer, error) {
	if err := s.checkConsumer(of, name, tags); err != nil {
		return Consumer{}, err
	}
	commitment, err := s.Commitment(ctx, of.Account, of.Region)
	if err != nil {
		return Consumer{}, err
	}
	var made *consumer
	st, err := s.changeConsumers(ctx, of, func(sn *snapshot, status Status) ([]*consumer, error) {
		if status != Active {
			return nil, notActive(of, status)
		}
		now := s.now()
		if err := sn.mayRegister(name, commitment.Active(), now); err != nil {
			return nil, err
		}
		created := now
		rest := slices.DeleteFunc(slices.Clone(sn.consumers), func(c *consumer) bool {
			if c.name != name {
				return false
			}
			if c.seconds() >= int64(created)/1000 { // its ARN must not become this one's
				created = record.Millis(c.seconds()+1) * 1000
			}
			return true
		})
		made = &consumer{name: name, created: created, due: s.dueAfter(s.pace.Creating), tags: tags}
		return append(rest, made), nil
	})
	if err != nil {
		return Consumer{}, err
	}
	return st.snap.Load().describe(made, s.now()), nil
}

func (s *Streams) checkConsumer(of Name, name string, tags map[string]string) error {
	if name == "" || len(name) > maxNameBytes {
		return fault.New(codeInvalid, "The name of a consumer has 1 to %d bytes.", maxNameBytes)
	}
	if err := checkTags(of, tags); err != nil {
		return err
	}
	if len(tags) > tagQuota {
		return tooManyTags(of)
	}
	return nil
}

// mayRegister refuses a name that is taken, and consumers above the quotas; committed says whether the account has a
// Commitment.
func (sn *snapshot) mayRegister(name string, committed bool, now record.Millis) error {
	of, all, creating := sn.info.Name, sn.registered(now), 0
	for _, c := range all {
		if c.name == name {
			return fault.New(codeInUse, "Consumer %s under stream %s and account %s already exists.", name, of.Name,
				of.Account)
		}
		if c.status(sn.info.Status, now) == Creating {
			creating++
		}
	}
	quota := ConsumerQuota
	if committed && sn.info.Mode == OnDemand {
		quota = committedQuota
	}
	if len(all) >= quota {
		return fault.New(codeLimit,
			"This request would exceed the limit of %d consumers for stream %s under account %s.", quota, of.Name,
			of.Account)
	}
	if creating >= creatingConsumerQuota {
		return fault.New(codeLimit,
			"This request would exceed the limit of %d consumers in the CREATING state for stream %s under account %s.",
			creatingConsumerQuota, of.Name, of.Account)
	}
	return nil
}

// DeregisterConsumer deletes a consumer, and returns when that is durable; with a pace, when it is DELETING. Its
// subscriptions end. A consumer that is DELETING already stays so, without a fault. Fault: ResourceNotFoundException.
// Source: Kinesis API Reference, DeregisterStreamConsumer.
func (s *Streams) DeregisterConsumer(ctx context.Context, id ConsumerID) error {
	return s.changeConsumer(ctx, id, func(c *consumer) error {
		if c.leaving {
			return errUnchanged
		}
		c.leaving, c.due = true, s.dueAfter(s.pace.Deleting)
		return nil
	})
}

// Consumer returns the description of a consumer. Fault: ResourceNotFoundException.
func (s *Streams) Consumer(ctx context.Context, id ConsumerID) (Consumer, error) {
	sn, c, err := s.findConsumer(ctx, id)
	if err != nil {
		return Consumer{}, err
	}
	return sn.describe(c, s.now()), nil
}

func (s *Streams) findConsumer(ctx context.Context, id ConsumerID) (*snapshot, *consumer, error) {
	st, err := s.find(ctx, id.Stream)
	if err != nil {
		return nil, nil, err
	}
	sn := st.snap.Load()
	if c := sn.consumer(id, s.now()); c != nil {
		return sn, c, nil
	}
	return nil, nil, consumerMissing(id)
}

// CountConsumers returns how many consumers a stream has, in any state. Fault: ResourceNotFoundException.
func (s *Streams) CountConsumers(ctx context.Context, of Name) (int, error) {
	st, err := s.find(ctx, of)
	if err != nil {
		return 0, err
	}
	return len(st.snap.Load().registered(s.now())), nil
}

// ListConsumersInput selects a page of a stream's consumers.
type ListConsumersInput struct {
	Token   string         // NextToken of the previous page
	Created *record.Millis // as in ListShardsInput
	Limit   int            // 0 or above 100: 100
}

// ListConsumers returns a page of a stream's consumers, by name and in any state, and a token when more follow. Faults:
// ResourceNotFoundException, ResourceInUseException while the stream is CREATING or DELETING, InvalidArgumentException
// for a token that is not ours or of another stream, ExpiredNextTokenException after five minutes. Source: Kinesis API
// Reference, ListStreamConsumers.
func (s *Streams) ListConsumers(ctx context.Context, of Name, in ListConsumersInput) (
	page []Consumer, next string, err error,
) {
	st, err := s.find(ctx, of)
	if err != nil {
		return nil, "", err
	}
	sn, now, after := st.snap.Load(), s.now(), ""
	if in.Token != "" {
		payload, err := s.openList(kindConsumers, of.Account, of.Region, in.Token, now)
		if err != nil {
			return nil, "", err
		}
		if len(payload) < 4 || binary.BigEndian.Uint32(payload) != sn.info.ID {
			return nil, "", invalidToken()
		}
		texts, ok := readTexts(payload[4:], 1)
		if !ok {
			return nil, "", invalidToken()
		}
		after = texts[0]
	}
	if in.Created != nil && int64(*in.Created)/1000 != sn.info.Created.Unix() {
		return nil, "", s.notFound(of)
	}
	if status := sn.info.Status; status != Active && status != Updating {
		return nil, "", notActive(of, status)
	}
	if in.Limit <= 0 || in.Limit > MaxListConsumers {
		in.Limit = MaxListConsumers
	}
	for _, c := range sn.registered(now) {
		if c.name <= after {
			continue
		}
		if len(page) == in.Limit {
			last := binary.BigEndian.AppendUint32(nil, sn.info.ID)
			last = appendTexts(last, page[len(page)-1].ID.Name)
			return page, s.sealList(kindConsumers, of.Account, of.Region, now, last), nil
		}
		page = append(page, sn.describe(c, now))
	}
	return page, "", nil
}

// changeConsumer changes one consumer: edit gets a copy and may refuse, or return errUnchanged. Its tags must be
// replaced, not changed.
func (s *Streams) changeConsumer(ctx context.Context, id ConsumerID, edit func(c *consumer) error) error {
	_, err := s.changeConsumers(ctx, id.Stream, func(sn *snapshot, status Status) ([]*consumer, error) {
		old := sn.consumer(id, s.now())
		switch {
		case status == Deleting:
			return nil, s.notFound(id.Stream)
		case old == nil:
			return nil, consumerMissing(id)
		}
		c := *old
		if err := edit(&c); err != nil {
			return nil, err
		}
		all := slices.Clone(sn.consumers)
		all[slices.Index(all, old)] = &c
		return all, nil
	})
	return err
}

// changeConsumers replaces the consumers of a stream by those that change returns for the stream as it is stored, and
// returns when that is durable. The record of the stream changes with them: so nothing that is decided about a stream
// and its consumers is overtaken by another process, and other processes notice. Fault: ResourceNotFoundException.
func (s *Streams) changeConsumers(
	ctx context.Context, of Name, change func(sn *snapshot, status Status) ([]*consumer, error),
) (*stream, error) {
	st, err := s.settled(ctx, of)
	if err != nil {
		return nil, err
	}
	var all []*consumer
	err = s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		sn := st.snap.Load()
		changed, err := change(sn, r.Status)
		if err != nil {
			return nil, err
		}
		now := s.now()
		all = slices.DeleteFunc(changed, func(c *consumer) bool { return !c.needed(now) })
		slices.SortFunc(all, func(a, b *consumer) int { return cmp.Compare(a.name, b.name) })
		r.ConsumerChange = rand.Text()
		return consumerOps(sn, all), nil
	}, func(_ streamRecord, revision storage.Revision) *snapshot {
		return st.snap.Load().withConsumers(all, revision)
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return st, err
}
