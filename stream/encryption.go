package stream

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/record"
)

// EncryptionType is what streams and records show, in AWS's words.
type EncryptionType string

// The two types. Nothing is encrypted here: the setting is kept, and records show under which one they arrived.
const (
	Unencrypted EncryptionType = "NONE"
	KMS         EncryptionType = "KMS"
)

// mostSpans bounds how often encryption may be started while a record that arrived meanwhile can still be read. AWS's
// rate of 25 changes a day and the longest retention lead to fewer.
const mostSpans = 5000

// Span is a time in which records count as encrypted: of those that arrived at From or later, and before Until.
type Span struct {
	From  record.Millis `json:"from"`
	Until record.Millis `json:"until,omitempty"` // 0: it goes on
}

// encryptions tells which records of a stream count as encrypted. All snapshots of the stream share it, so that a
// reader judges a record by what was known when the record was put, not when the reader began.
type encryptions struct {
	spans   atomic.Pointer[[]Span]
	turning atomic.Pointer[turn] // the change that is under way; nil: none is
}

// turn is a change of encryption that is being stored. What arrives while it is, from the change's first millisecond
// on, cannot be judged: the change may yet fail, or a crash may undo it.
type turn struct {
	from atomic.Int64  // the first millisecond; 0: not known yet
	over chan struct{} // closed when the change can be seen, or has failed
}

func newEncryptions(spans []Span) *encryptions {
	c := new(encryptions)
	c.spans.Store(&spans)
	return c
}

// turn begins a change. Only one is under way at a time. The clock must be read after it was called: whoever has not
// seen it judges a record that arrived before.
func (c *encryptions) turn() *turn {
	t := &turn{over: make(chan struct{})}
	c.turning.Store(t)
	return t
}

// end ends a change that was begun by turn.
func (c *encryptions) end(t *turn) {
	c.turning.CompareAndSwap(t, nil) // the next one may have begun
	close(t.over)
}

// at reports whether a record that arrived then counts as encrypted. It is the same for a record whenever it is asked:
// where a change under way would decide, it waits for its end.
func (c *encryptions) at(arrival record.Millis) bool {
	for t := c.turning.Load(); t != nil && int64(arrival) >= t.from.Load(); t = c.turning.Load() {
		<-t.over // as soon as the commit is, which every put waits for
	}
	spans := *c.spans.Load()
	i, found := slices.BinarySearchFunc(spans, arrival, func(s Span, at record.Millis) int {
		return cmp.Compare(s.From, at)
	})
	if !found {
		i--
	}
	return i >= 0 && (spans[i].Until == 0 || arrival < spans[i].Until)
}

// Encryption returns what a stream shows; keyID is "" for Unencrypted.
func (i *Info) Encryption() (kind EncryptionType, keyID string) {
	if i.KeyID == "" {
		return Unencrypted, ""
	}
	return KMS, i.KeyID
}

// Encrypted reports whether a record of the shard that arrived then was encrypted, as far as s was given to a reader.
func (s *ShardInfo) Encrypted(arrival record.Millis) bool {
	return s.Cipher != nil && s.Cipher(arrival)
}

// readable returns the description of a shard for a reader, which can ask it about encryption.
func (sn *snapshot) readable(sh *shard) *ShardInfo {
	c := *sn.shardInfo(sh)
	c.Cipher = sn.cipher.at
	return &c
}

// StartEncryption has records that are put from now on count as encrypted under a key, and returns when that is
// durable. A stream that is encrypted already gets the other key. Faults: ResourceNotFoundException;
// InvalidArgumentException for a type other than KMS and for text that names no key; ResourceInUseException unless
// ACTIVE; LimitExceededException. Source: Kinesis API Reference, StartStreamEncryption.
func (s *Streams) StartEncryption(ctx context.Context, name Name, kind EncryptionType, keyID string) error {
	return s.setEncryption(ctx, name, kind, keyID, func(r *streamRecord, from record.Millis) (bool, error) {
		if r.KeyID == keyID {
			return true, nil
		}
		if r.KeyID == "" {
			if len(r.Encrypted) >= mostSpans {
				return false, fault.New(codeLimit,
					"Encryption of stream %s under account %s was started %d times within its retention period; no more is possible.",
					name.Name, name.Account, mostSpans)
			}
			r.Encrypted = append(r.Encrypted, Span{From: from})
		}
		r.KeyID = keyID
		return false, nil
	})
}

// StopEncryption has records that are put from now on count as unencrypted, and returns when that is durable. Those
// before stay as they are. A stream that is not encrypted stays so. Faults: as StartEncryption. Source: Kinesis API
// Reference, StopStreamEncryption.
func (s *Streams) StopEncryption(ctx context.Context, name Name, kind EncryptionType, keyID string) error {
	return s.setEncryption(ctx, name, kind, keyID, func(r *streamRecord, until record.Millis) (bool, error) {
		if r.KeyID == "" {
			return true, nil
		}
		r.KeyID = ""
		r.Encrypted[len(r.Encrypted)-1].Until = until
		return false, nil
	})
}

// setEncryption changes the encryption of a stream from the next millisecond on, and returns when that has begun: so
// the arrival of a record tells whether it was put before or after.
func (s *Streams) setEncryption(
	ctx context.Context, name Name, kind EncryptionType, keyID string,
	change func(r *streamRecord, from record.Millis) (same bool, err error),
) error {
	var from record.Millis
	var cipher *encryptions
	var turning *turn
	err := s.set(ctx, name, func(info *Info, r *streamRecord) (bool, error) {
		if kind != KMS {
			return false, fault.New(codeInvalid, "EncryptionType must be KMS; %s was given.", clip(string(kind)))
		}
		if err := checkKey(name, keyID); err != nil {
			return false, err
		}
		if turning == nil { // else another process was faster, and this is tried again
			sn := s.current(r.ID)
			if sn == nil {
				return false, s.notFound(name)
			}
			cipher = sn.cipher
			turning = cipher.turn()
		}
		now := s.now()
		from = now + 1
		turning.from.CompareAndSwap(0, int64(from))
		horizon := (&snapshot{info: *info}).trimHorizon(now)
		r.Encrypted = slices.DeleteFunc(slices.Clone(r.Encrypted), func(p Span) bool {
			return p.Until != 0 && p.Until <= horizon // no record of then can be read
		})
		same, err := change(r, from)
		if err == nil && !same && r.Status == Active {
			err = s.countChange(r, changesOfEncryption)
		}
		return same, err
	})
	if turning != nil {
		cipher.end(turning)
	}
	if err != nil {
		return err
	}
	begun := make(chan struct{})
	timer := s.clock.At(from.Time(), func() { close(begun) })
	defer timer.Stop()
	select {
	case <-begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Forms of keys: an id, also of a key for several regions, and the name of an alias.
var (
	keyForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:mrk-[0-9a-f]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)
	})
	aliasForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`) })
)

// checkKey refuses text that names no key, and keys of other regions, which no stream can use. Whether a key exists is
// not known here.
func checkKey(name Name, keyID string) error {
	resource := keyID
	if a, ok := arn.Parse(keyID); ok {
		if a.Service != "kms" || a.Region != name.Region || a.Partition != arn.PartitionOf(name.Region) ||
			!arn.IsAccount(a.Account) {
			return fault.New(
				codeInvalid, "KeyId %s is not the ARN of a KMS key or alias in %s.", clip(keyID), name.Region,
			)
		}
		resource = a.Resource
		if id, isKey := strings.CutPrefix(resource, "key/"); isKey {
			resource = id
		} else if !strings.HasPrefix(resource, "alias/") {
			resource = ""
		}
	}
	if !keyForm().MatchString(resource) && !aliasForm().MatchString(resource) {
		return fault.New(codeInvalid, "KeyId %s is neither the id, the alias nor the ARN of a KMS key.", clip(keyID))
	}
	return nil
}
