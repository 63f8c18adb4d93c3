package table

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// Limits of keys, in bytes.
const (
	maxHashKey  = 2048
	maxRangeKey = 1024
)

// keyAttribute is an attribute of a key.
type keyAttribute struct {
	name string
	kind expr.Kind
}

// schema says how the items of a table or an index are ordered and which attributes they have.
type schema struct {
	number     uint32 // 0: the table itself
	index      string // "": the table itself
	local      bool
	key        []keyAttribute // hash, then perhaps range
	table      []keyAttribute // the table's key
	projection string
	attributes []string // projected in addition to the keys, with Include
}

func (d *Definition) keyAttributes(key []KeyElement) []keyAttribute {
	var out []keyAttribute
	for _, k := range key {
		out = append(out, keyAttribute{k.Name, d.kindOf(k.Name)})
	}
	return out
}

// schemas returns the schemas of the table and of its indexes.
func (d *Definition) schemas() []schema {
	key := d.keyAttributes(d.Key)
	out := []schema{{key: key, table: key, projection: All}}
	add := func(indexes []Index, local bool) {
		for _, x := range indexes {
			out = append(out, schema{x.Number, x.Name, local, d.keyAttributes(x.Key), key, x.Projection, x.Attributes})
		}
	}
	add(d.Local, true)
	add(d.Global, false)
	return out
}

// projects reports whether entries of the schema have the attribute.
func (s *schema) projects(name string) bool {
	is := func(k keyAttribute) bool { return k.name == name }
	return s.projection == All || slices.ContainsFunc(s.key, is) || slices.ContainsFunc(s.table, is) ||
		s.projection == Include && slices.Contains(s.attributes, name)
}

// project returns the part of an item that is in its entry.
func (s *schema) project(item expr.Item) expr.Item {
	if s.projection == All {
		return item
	}
	out := expr.Item{}
	for name, v := range item {
		if s.projects(name) {
			out[name] = v
		}
	}
	return out
}

// has reports whether an item has an entry in the schema: every key attribute, of the right type and size.
func (s *schema) has(item expr.Item) bool {
	for i, k := range s.key {
		v, ok := item[k.name]
		if !ok || v.Kind != k.kind || v.Kind != expr.N && v.Text == "" || len(v.Text) > maxKeyBytes(i) {
			return false
		}
	}
	return true
}

func maxKeyBytes(i int) int {
	if i == 0 {
		return maxHashKey
	}
	return maxRangeKey
}

// placeOf returns the place of an item's entry in the schema: hash of the hash key, hash key, range key, and in an
// index the table's key. The item must have the key attributes.
func (s *schema) placeOf(item expr.Item) []byte {
	place := hashPlace(item[s.key[0].name])
	for _, k := range s.key[1:] {
		place = appendKey(place, item[k.name])
	}
	if s.number != 0 {
		for _, k := range s.table {
			place = appendKey(place, item[k.name])
		}
	}
	return place
}

// hashPlace returns the beginning of the places of all items with hash key v.
func hashPlace(v expr.Value) []byte {
	key := appendKey(nil, v)
	sum := sha256.Sum256(key)
	return append(sum[:hashBytes:hashBytes], key...)
}

// hashBytes is how many bytes of the hash of the hash key spread the items, so that segments of a scan are ranges.
const hashBytes = 4

// stripeOf returns the number of an item's lock, by its place.
func stripeOf(place []byte) uint32 { return binary.BigEndian.Uint32(place) % stripes }

// keyOf returns the attributes of a LastEvaluatedKey: the schema's key and the table's.
func (s *schema) keyOf(item expr.Item) expr.Item {
	out := expr.Item{}
	for _, k := range slices.Concat(s.key, s.table) {
		out[k.name] = item[k.name]
	}
	return out
}

// checkKey checks the Key of a request: the table's key and nothing else.
func (s *schema) checkKey(key expr.Item) error {
	if len(key) != len(s.key) {
		return badKey()
	}
	for i, k := range s.key {
		v, ok := key[k.name]
		if !ok || v.Kind != k.kind {
			return badKey()
		}
		if err := checkKeySize(k.name, v, i); err != nil {
			return err
		}
	}
	return nil
}

func checkKeySize(name string, v expr.Value, i int) error {
	switch {
	case v.Kind == expr.N:
		return nil
	case v.Text == "":
		return invalid(
			prefixNotValid+"The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s",
			kindText(v.Kind), name,
		)
	case len(v.Text) <= maxKeyBytes(i):
		return nil
	case i == 0:
		return invalid(prefixInvalid+"Size of hashkey has exceeded the maximum size limit of%d bytes", maxHashKey)
	}
	return invalid(
		prefixInvalid+"Aggregated size of all range keys has exceeded the size limit of %d bytes", maxRangeKey,
	)
}

func kindText(k expr.Kind) string {
	if k == expr.B {
		return "binary"
	}
	return "string"
}

// checkItem checks that an item has the table's key.
func (s *schema) checkItem(item expr.Item) error {
	for i, k := range s.key {
		v, ok := item[k.name]
		if !ok {
			return invalid(prefixInvalid+"Missing the key %s in the item", k.name)
		}
		if v.Kind != k.kind {
			return invalid(prefixInvalid+"Type mismatch for key %s expected: %s actual: %s", k.name, k.kind, v.Kind)
		}
		if err := checkKeySize(k.name, v, i); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry checks that the attributes of an item that belong to an index's key are valid there.
func (s *schema) checkEntry(item expr.Item) error {
	for i, k := range s.key {
		v, ok := item[k.name]
		if !ok {
			continue
		}
		if v.Kind != k.kind {
			return invalid(
				prefixInvalid+"Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", k.name, k.kind,
				v.Kind, s.index,
			)
		}
		if v.Kind != expr.N && v.Text == "" {
			return invalid(prefixNotValid+"A value specified for a secondary index key is not supported. "+
				"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s",
				kindText(v.Kind), s.index, k.name)
		}
		if err := checkKeySize(k.name, v, i); err != nil {
			return err
		}
	}
	return nil
}

// checkUpdate is checkEntry for only the changed attributes of an item: one that did not fit the index before may stay
// as it is.
func (s *schema) checkUpdate(item expr.Item, changed []string) error {
	for i, k := range s.key {
		v, ok := item[k.name]
		if !ok || !slices.Contains(changed, k.name) {
			continue
		}
		if v.Kind != k.kind {
			return invalid("The update expression attempted to update the secondary index key to unsupported type")
		}
		if v.Kind != expr.N && v.Text == "" {
			return invalid(prefixNotValid+
				"The update expression attempted to update a secondary index key to a value that is not supported. "+
				"The AttributeValue for a key attribute cannot contain an empty %s value.", kindText(v.Kind))
		}
		if err := checkKeySize(k.name, v, i); err != nil {
			return err
		}
	}
	return nil
}

// appendKey appends a key attribute so that byte order is the order of values and no encoding is the beginning of
// another.
func appendKey(b []byte, v expr.Value) []byte {
	if v.Kind == expr.N {
		return v.Number.AppendKey(b)
	}
	return append(appendPrefix(b, v.Text), 0, 0)
}

// appendPrefix appends the beginning of the encoding of a text or binary: a zero byte is followed by 0xff, so that it
// sorts behind the end mark.
func appendPrefix(b []byte, text string) []byte {
	for i := range len(text) {
		b = append(b, text[i])
		if text[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return b
}

// after returns the first key behind all that begin with prefix; nil when there is none.
func after(prefix []byte) []byte {
	k := slices.Clone(prefix)
	for i := len(k) - 1; i >= 0; i-- {
		if k[i]++; k[i] != 0 {
			return k[:i+1]
		}
	}
	return nil
}
