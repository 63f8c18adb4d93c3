package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/storage"
)

// formatVersion is the first byte of every stored value but a queue's own. docs/format/queue.md describes the bytes.
const formatVersion = 1

// metaVersion is the first byte of what is stored about a queue itself: since 2 with its tags, since 3 with its policy.
const (
	metaVersion     = 3
	metaVersionTags = 2
)

// The key families, all under our prefix.
const (
	prefixNext    = "queue/n"  // → number of the next queue
	prefixMeta    = "queue/q/" // account / region / name → meta
	prefixState   = "queue/i/" // queue u64, place u64 → order and visibility
	prefixContent = "queue/m/" // queue u64, place u64 → what was sent
	prefixDedup   = "queue/d/" // queue u64, deduplication id → expiry, message id
	prefixDue     = "queue/x/" // queue u64, expiry u64, deduplication id → nothing
)

func metaKey(n Name) []byte { return []byte(prefixMeta + n.Account + "/" + n.Region + "/" + n.Name) }

func stateKey(queue, seq uint64) []byte   { return numbers(prefixState, queue, seq) }
func contentKey(queue, seq uint64) []byte { return numbers(prefixContent, queue, seq) }
func dedupKey(queue uint64, id string) []byte {
	return append(numbers(prefixDedup, queue), id...)
}

func dueKey(queue uint64, due int64, id string) []byte {
	return append(numbers(prefixDue, queue, uint64(due)), id...)
}

// splitDueKey parses a key made by dueKey.
func splitDueKey(k []byte) (due int64, id string) {
	if len(k) < len(prefixDue)+16 {
		return 0, ""
	}
	return int64(binary.BigEndian.Uint64(k[len(prefixDue)+8:])), string(k[len(prefixDue)+16:])
}

func numbers(prefix string, n ...uint64) []byte {
	b := make([]byte, 0, len(prefix)+8*len(n)+40)
	b = append(b, prefix...)
	for _, v := range n {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// meta is what is stored about a queue itself.
type meta struct {
	id                uint64 // never reused
	created, modified int64
	settings          Settings
	tags              map[string]string // nil: none. Replaced, never changed, while create is held
	policy            string            // as it was put; "": none. Replaced while create is held
	document          *policy.Document  // policy, parsed; nil: none
}

func encodeMeta(m meta) []byte {
	b := []byte{metaVersion}
	for _, v := range []uint64{
		m.id, uint64(m.created), uint64(m.modified),
		uint64(millis(m.settings.VisibilityTimeout)), uint64(millis(m.settings.Delay)),
		uint64(millis(m.settings.Retention)),
		uint64(millis(m.settings.ReceiveWait)), uint64(m.settings.MaxMessageBytes),
	} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(m.tags)))
	for _, key := range slices.Sorted(maps.Keys(m.tags)) {
		b = appendBytes(b, key)
		b = appendBytes(b, m.tags[key])
	}
	return appendBytes(b, m.policy)
}

func decodeMeta(b []byte) (meta, error) {
	r, version := newReader(b, formatVersion, metaVersionTags, metaVersion)
	m := meta{id: r.uvarint(), created: r.instant(), modified: r.instant()}
	m.settings = Settings{
		VisibilityTimeout: r.duration(), Delay: r.duration(), Retention: r.duration(), ReceiveWait: r.duration(),
		MaxMessageBytes: int(min(r.uvarint(), math.MaxInt32)),
	}
	if version >= metaVersionTags {
		m.tags = r.tags()
	}
	if version >= metaVersion {
		m.policy = string(r.bytes())
	}
	if err := r.end("queue"); err != nil {
		return meta{}, err
	}
	if err := m.settings.Validate(); err != nil {
		return meta{}, fmt.Errorf("%w: queue: %w", storage.ErrCorrupt, err)
	}
	var err error
	if m.document, err = checkPolicy(m.policy); err != nil {
		return meta{}, fmt.Errorf("%w: policy of a queue: %w", storage.ErrCorrupt, err)
	}
	return m, nil
}

func encodeState(t taken) []byte {
	b := []byte{formatVersion}
	for _, v := range []uint64{uint64(t.sent), uint64(t.visible), uint64(t.first), uint64(t.receives)} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func decodeState(key, b []byte) (*entry, error) {
	if len(key) != len(prefixState)+16 {
		return nil, fmt.Errorf("%w: message key of %d bytes", storage.ErrCorrupt, len(key))
	}
	r, _ := newReader(b, formatVersion)
	e := &entry{
		seq: binary.BigEndian.Uint64(key[len(prefixState)+8:]), sent: r.instant(), visible: r.instant(),
		first: r.instant(),
	}
	e.receives = uint32(min(r.uvarint(), math.MaxUint32))
	return e, r.end("message state")
}

// content is what was sent.
type content struct {
	id         uuid.UUID
	sender     string
	body       string
	attributes []Attribute
}

func encodeContent(c content) []byte {
	size := 64 + len(c.sender) + len(c.body)
	for _, a := range c.attributes {
		size += len(a.Name) + len(a.Type) + len(a.Value) + 16
	}
	b := make([]byte, 0, size)
	b = append(b, formatVersion)
	b = append(b, c.id[:]...)
	b = appendBytes(b, c.sender)
	b = appendBytes(b, c.body)
	b = binary.AppendUvarint(b, uint64(len(c.attributes)))
	for _, a := range c.attributes {
		b = appendBytes(b, a.Name)
		b = appendBytes(b, a.Type)
		b = appendBytes(b, a.Value)
	}
	return b
}

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func decodeContent(b []byte) (content, error) {
	r, _ := newReader(b, formatVersion)
	var c content
	copy(c.id[:], r.take(16))
	c.sender, c.body = string(r.bytes()), string(r.bytes())
	n := r.uvarint()
	if n > MaxMessageAttributes {
		return content{}, fmt.Errorf("%w: message with %d attributes", storage.ErrCorrupt, n)
	}
	for range n {
		c.attributes = append(c.attributes, Attribute{
			Name: string(r.bytes()), Type: string(r.bytes()), Value: append([]byte{}, r.bytes()...),
		})
	}
	return c, r.end("message")
}

// dedup is what is stored about a deduplication id.
type dedup struct {
	due int64 // expires at this instant
	id  uuid.UUID
}

func encodeDedup(d dedup) []byte {
	b := binary.AppendUvarint([]byte{formatVersion}, uint64(d.due))
	return append(b, d.id[:]...)
}

func decodeDedup(b []byte) (dedup, error) {
	r, _ := newReader(b, formatVersion)
	d := dedup{due: r.instant()}
	copy(d.id[:], r.take(16))
	return d, r.end("deduplication id")
}

// readNextID returns the number that the next queue will get.
func readNextID(l storage.Local) (uint64, error) {
	b, ok, err := l.Get([]byte(prefixNext))
	if err != nil {
		return 0, fmt.Errorf("read number of the next queue: %w", err)
	}
	if !ok {
		return 1, nil
	}
	r, _ := newReader(b, formatVersion)
	n := r.uvarint()
	return n, r.end("number of the next queue")
}

func encodeNextID(n uint64) []byte { return binary.AppendUvarint([]byte{formatVersion}, n) }

var errTruncated = errors.New("ends too early")

// reader takes values off the front of stored bytes and remembers the first error.
type reader struct {
	b   []byte
	err error
}

// newReader returns a reader behind the version of a value, and that version; the last of the known ones is the one
// that is written.
func newReader(b []byte, known ...byte) (r *reader, version byte) {
	r = &reader{b: b}
	version = r.take(1)[0]
	if r.err == nil && !slices.Contains(known, version) {
		r.err = fmt.Errorf(
			"version %d is not known to this program, which writes version %d", version, known[len(known)-1],
		)
	}
	return r, version
}

// take returns the next n bytes, or n zero bytes after an error (n is small then: see bytes).
func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = errTruncated
	}
	if r.err != nil {
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errTruncated
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes returns the next length-prefixed value; it shares memory with the input.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.err == nil && n > uint64(len(r.b)) {
		r.err = errTruncated
	}
	if r.err != nil {
		return nil
	}
	return r.take(int(n))
}

// tags returns tags, nil for none.
func (r *reader) tags() map[string]string {
	n := r.uvarint()
	if n > tags.Most && r.err == nil {
		r.err = fmt.Errorf("%d tags", n)
	}
	if n == 0 || r.err != nil {
		return nil
	}
	out := make(map[string]string, n)
	for range n {
		key, value := string(r.bytes()), string(r.bytes())
		out[key] = value
	}
	return out
}

// maxInstant is in the year 5138: later instants are damage, and sums with durations stay far from overflow.
const maxInstant = 100_000_000_000_000

func (r *reader) instant() int64 {
	v := r.uvarint()
	if v > maxInstant && r.err == nil {
		r.err = fmt.Errorf("instant %d is out of range", v)
	}
	return int64(min(v, maxInstant))
}

// duration reads a setting in milliseconds; none may exceed the longest retention.
func (r *reader) duration() time.Duration {
	v := r.uvarint()
	if v > uint64(millis(MaxRetention)) {
		if r.err == nil {
			r.err = fmt.Errorf("duration of %d ms is out of range", v)
		}
		return 0
	}
	return time.Duration(v) * time.Millisecond
}

// end returns the first error; bytes left over are one.
func (r *reader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, what, r.err)
	}
	return nil
}
