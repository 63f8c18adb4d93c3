package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/record"
)

// putEntry is a record of PutRecords.
type putEntry struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string `json:",omitempty"`

	packed []record.Record // what Data holds; nil: it is no aggregate
	shard  string          // where it should go, if it is one
}

// records returns how many records of the user the entry is.
func (e *putEntry) records() int { return max(1, len(e.packed)) }

// placement says where a record was put. Records is how many it holds, 0 if it is no aggregate.
type placement struct {
	ShardId        string
	SequenceNumber string
	Records        int `json:",omitempty"`
}

// putter puts records of a stream in batches: each as it is, or packed with others of its shard. The zero value of all
// but cl and stream is usable. Not safe for concurrent use.
type putter struct {
	cl     *client
	stream string
	pack   *packing                // nil: records are not packed
	placed func([]placement) error // told of records that are acknowledged, in their order; nil: nobody is
	tally  tally
}

// put puts entries and returns when all are acknowledged. Refused ones are sent again, which puts them behind later
// ones of this call.
func (p *putter) put(ctx context.Context, entries []putEntry) error {
	if len(entries) == 0 {
		return nil
	}
	if p.pack == nil {
		return p.putAll(ctx, entries)
	}
	var again resend
	for {
		packed, err := p.pack.entries(ctx, entries)
		if err != nil {
			return err
		}
		if err := p.putAll(ctx, packed); err != nil {
			return err
		}
		if entries, err = p.pack.lost(ctx); err != nil || len(entries) == 0 {
			return err
		}
		p.tally.Records -= len(entries)
		p.tally.Resent += len(entries)
		if err := again.wait(ctx, errors.New("the shards of the stream change too fast")); err != nil {
			return err
		}
	}
}

// putAll puts entries in as many calls as they take.
func (p *putter) putAll(ctx context.Context, entries []putEntry) error {
	for len(entries) > 0 {
		n, size := 0, 0
		for n < len(entries) && n < loadRecords {
			if size += len(entries[n].Data) + len(entries[n].PartitionKey); size > loadBytes && n > 0 {
				break
			}
			n++
		}
		if err := p.call(ctx, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// call puts records with one PutRecords, and refused ones again until all are acknowledged.
func (p *putter) call(ctx context.Context, entries []putEntry) (err error) {
	places := make([]placement, len(entries))
	if p.placed != nil {
		defer func() { // also if the rest was refused for good
			if perr := p.placed(acknowledged(places)); err == nil {
				err = perr
			}
		}()
	}
	pending := make([]int, len(entries))
	for i := range pending {
		pending[i] = i
	}
	var again resend
	for {
		sent := make([]putEntry, len(pending))
		for i, at := range pending {
			sent[i] = entries[at]
		}
		var got struct {
			Records []struct{ ErrorCode, ErrorMessage, ShardId, SequenceNumber string }
		}
		err := p.cl.kinesis(ctx, "PutRecords", of(p.stream, map[string]any{"Records": sent}), &got)
		var refused []int
		var why error
		switch {
		case transient(err):
			refused, why = pending, err
			if isCode(err, throttleCode) {
				p.tally.Throttled += recordsOfEntries(sent)
			}
		case err != nil:
			return err
		case len(got.Records) != len(sent):
			return fmt.Errorf("PutRecords answered %d results for %d records", len(got.Records), len(sent))
		default:
			for i, r := range got.Records {
				e, at := &sent[i], pending[i]
				if r.ErrorCode == "" {
					places[at] = placement{r.ShardId, r.SequenceNumber, len(e.packed)}
					p.acknowledge(e, r.ShardId)
					continue
				}
				refused, why = append(refused, at), fmt.Errorf("%s: %s", r.ErrorCode, r.ErrorMessage)
				if r.ErrorCode == throttleCode {
					p.tally.Throttled += e.records()
				}
			}
		}
		if len(refused) == 0 {
			return nil
		}
		if len(refused) < len(pending) {
			again = resend{}
		}
		why = fmt.Errorf("%d records were refused %d times in a row: %w", len(refused), resendTries, why)
		if err := again.wait(ctx, why); err != nil {
			return err
		}
		for _, at := range refused {
			p.tally.Resent += entries[at].records()
		}
		pending = refused
	}
}

// acknowledge counts a record that the stream has.
func (p *putter) acknowledge(e *putEntry, shard string) {
	p.tally.Records += e.records()
	if p.pack != nil {
		p.tally.Packed++
		p.pack.acknowledge(e, shard)
	}
}

func recordsOfEntries(entries []putEntry) (n int) {
	for i := range entries {
		n += entries[i].records()
	}
	return n
}

// acknowledged returns the places that are known.
func acknowledged(places []placement) (known []placement) {
	for _, p := range places {
		if p.ShardId != "" {
			known = append(known, p)
		}
	}
	return known
}

// Pauses before records are sent again, and after how many pauses without any progress the load fails.
const (
	resendPause = 50 * time.Millisecond
	resendMost  = time.Second
	resendTries = 20
)

// resend counts how often in a row no record was accepted.
type resend struct{ tries int }

// after returns the pause after a refusal; ok is false if it is time to give up.
func (r *resend) after(progress bool) (pause time.Duration, ok bool) {
	if progress {
		r.tries = 0
	}
	r.tries++
	return min(resendPause<<(r.tries-1), resendMost), r.tries < resendTries
}

const throttleCode = "ProvisionedThroughputExceededException"

// wait pauses after a refusal without any progress, and returns it if there have been too many in a row.
func (r *resend) wait(ctx context.Context, why error) error {
	pause, ok := r.after(false)
	if !ok {
		return why
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
