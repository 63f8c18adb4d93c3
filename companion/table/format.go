package table

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
)

// formatVersion is the first byte of every stored value. docs/format/table.md describes the bytes.
const formatVersion = 1

// policyVersion is the first byte of what is stored about a table that has a policy.
const policyVersion = 2

// The key families, all under our prefix.
const (
	prefixNext  = "table/n"  // → number of the next table
	prefixMeta  = "table/t/" // account / region / name → meta
	prefixItem  = "table/i/" // table u64, index u32, place → item
	prefixDying = "table/x/" // second u64, table u64, place → account / region / name
)

func metaKey(n Name) []byte { return []byte(prefixMeta + n.path()) }

func (n Name) path() string { return n.Account + "/" + n.Region + "/" + n.Table }

// indexKey returns the beginning of all keys of an index; index 0 is the table.
func indexKey(table uint64, index uint32) []byte {
	b := binary.BigEndian.AppendUint64([]byte(prefixItem), table)
	return binary.BigEndian.AppendUint32(b, index)
}

func itemKey(table uint64, index uint32, place []byte) []byte {
	return append(indexKey(table, index), place...)
}

// itemPrefix is the length of what indexKey returns.
const itemPrefix = len(prefixItem) + 8 + 4

// dyingKey returns an item's key in the order of expiry.
func dyingKey(second int64, table uint64, place []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte(prefixDying), uint64(second))
	b = binary.BigEndian.AppendUint64(b, table)
	return append(b, place...)
}

// encodeDying returns the value of a dyingKey.
func encodeDying(n Name) []byte { return append([]byte{formatVersion}, n.path()...) }

func decodeDying(b []byte) (Name, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return Name{}, corrupt("entry in the order of expiry", errVersion(b))
	}
	parts := strings.Split(string(b[1:]), "/")
	if len(parts) != 3 {
		return Name{}, corrupt("entry in the order of expiry", errors.New("no name of a table"))
	}
	return Name{parts[0], parts[1], parts[2]}, nil
}

// splitDyingKey parses a key made by dyingKey.
func splitDyingKey(k []byte) (second int64, table uint64, place []byte, ok bool) {
	const n = len(prefixDying)
	if len(k) < n+16 {
		return 0, 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(k[n:])), binary.BigEndian.Uint64(k[n+8:]), slices.Clone(k[n+16:]), true
}

// meta is what is stored about a table itself. A meta in use never changes: changes make a new one.
type meta struct {
	Number     uint64 // never reused
	ID         string // TableId, a UUID
	Created    int64  // Unix milliseconds of the steered clock
	Definition Definition
	NextIndex  uint32
	Expiry     string `json:",omitempty"` // the attribute that holds the time to live; "": items do not expire

	Policy   string `json:",omitempty"` // as it was put; "": none
	Revision int64  `json:",omitempty"` // of the last change of Policy

	schemas  []schema         // of Definition
	document *policy.Document // Policy, parsed; nil: none
}

// change returns a copy whose definition can be changed.
func (m *meta) change() *meta {
	c := *m
	d := &c.Definition
	d.Attributes, d.Global, d.Tags = slices.Clone(d.Attributes), slices.Clone(d.Global), maps.Clone(d.Tags)
	return &c
}

func encodeMeta(m *meta) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // texts and numbers can always be marshalled
	}
	version := byte(formatVersion)
	if m.Policy != "" { // a program that knows no policies must not open the table, nor forget its policy
		version = policyVersion
	}
	return append([]byte{version}, b...)
}

func decodeMeta(b []byte) (*meta, error) {
	if len(b) == 0 || b[0] != formatVersion && b[0] != policyVersion {
		return nil, corrupt("table", errVersion(b))
	}
	m := &meta{}
	if err := json.Unmarshal(b[1:], m); err != nil {
		return nil, corrupt("table", err)
	}
	if len(m.Definition.Key) == 0 {
		return nil, corrupt("table", errors.New("no key"))
	}
	m.schemas = m.Definition.schemas()
	var err error
	if m.document, err = checkPolicy(m.Policy); err != nil {
		return nil, corrupt("policy of a table", err)
	}
	return m, nil
}

func corrupt(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, what, err)
}

var errTruncated = errors.New("ends too early")

func errVersion(b []byte) error {
	if len(b) == 0 {
		return errTruncated
	}
	return fmt.Errorf("version %d is not known to this program, which writes version %d", b[0], formatVersion)
}

func readNextID(local storage.Local) (uint64, error) {
	b, ok, err := local.Get([]byte(prefixNext))
	if err != nil {
		return 0, storageFault("read number of the next table", err)
	}
	if !ok {
		return 1, nil
	}
	if b[0] != formatVersion {
		return 0, corrupt("number of the next table", errVersion(b))
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 {
		return 0, corrupt("number of the next table", errTruncated)
	}
	return n, nil
}

func encodeNextID(n uint64) []byte { return binary.AppendUvarint([]byte{formatVersion}, n) }

// encodeItem returns an item as bytes; equal items have equal bytes.
func encodeItem(item expr.Item) []byte {
	return appendMap(append(make([]byte, 0, 64), formatVersion), item)
}

func appendMap(b []byte, m map[string]expr.Value) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b = appendValue(appendText(b, name), m[name])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendValue(b []byte, v expr.Value) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case expr.S, expr.B:
		return appendText(b, v.Text)
	case expr.N:
		return appendText(b, v.Number.String())
	case expr.BOOL:
		if v.Bool {
			return append(b, 1)
		}
		return append(b, 0)
	case expr.NULL:
	case expr.M:
		return appendMap(b, v.Map)
	case expr.L, expr.SS, expr.NS, expr.BS:
		b = binary.AppendUvarint(b, uint64(len(v.List)))
		for _, e := range v.List {
			b = appendValue(b, e)
		}
	}
	return b
}

func decodeItem(b []byte) (expr.Item, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, corrupt("item", errVersion(b))
	}
	r := &reader{b: b[1:]}
	item := r.document(0)
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return nil, corrupt("item", r.err)
	}
	return item, nil
}

// reader takes values off the front of stored bytes and remembers the first error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errTruncated)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// count reads the number of things that follow, each of at least one byte.
func (r *reader) count() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) {
		r.fail(errTruncated)
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) document(depth int) map[string]expr.Value {
	n := r.count()
	m := make(map[string]expr.Value, min(n, 64))
	for range n {
		name := r.text()
		m[name] = r.value(depth + 1)
		if r.err != nil {
			return nil
		}
	}
	return m
}

func (r *reader) value(depth int) expr.Value {
	v := expr.Value{Kind: expr.Kind(r.byte())}
	if depth > MaxDepth+1 {
		r.fail(errors.New("nested too deep"))
		return v
	}
	switch v.Kind {
	case expr.S, expr.B:
		v.Text = r.text()
	case expr.N:
		n, err := expr.ParseNumber(r.text())
		if err != nil {
			r.fail(err)
		}
		v.Number = n
	case expr.BOOL:
		v.Bool = r.byte() == 1
	case expr.NULL:
	case expr.M:
		v.Map = r.document(depth)
	case expr.L, expr.SS, expr.NS, expr.BS:
		for range r.count() {
			v.List = append(v.List, r.value(depth+1))
			if r.err != nil {
				return v
			}
		}
	default:
		r.fail(fmt.Errorf("kind %d is not known", v.Kind))
	}
	return v
}
