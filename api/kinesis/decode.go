package kinesis

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// fields reads the members of one map as the types of the model. Other members are unknown to the operation and
// dropped; null means absent; if a member is given twice the last one counts. The first value of a wrong type, in the
// order in which members are read (the model's order), becomes the request's SerializationException. Source: texts
// recorded from AWS by kinesalite.
type fields struct {
	in    encoding
	names []string
	raws  [][]byte
	err   *error // the first error of the whole request
}

// request reads the body of c, whose known members are names. Anything but a map has no members and is an error.
func (c *call) request(names ...string) *fields {
	if !c.in.object(c.body) {
		err := error(&fault.Error{Code: fault.CodeSerialization})
		return &fields{in: c.in, names: names, raws: make([][]byte, len(names)), err: &err}
	}
	return newFields(value{c.in, c.body}, new(error), names)
}

func newFields(v value, err *error, names []string) *fields {
	f := &fields{in: v.in, names: names, raws: make([][]byte, len(names)), err: err}
	for name, raw := range v.in.members(v.raw) {
		if i := slices.Index(names, name); i >= 0 {
			f.raws[i] = raw
		}
	}
	return f
}

// get returns the value of a member, which is absent when it is null or when an earlier member was of a wrong type.
func (f *fields) get(name string) (v value, present bool) {
	v = value{f.in, f.raws[slices.Index(f.names, name)]}
	return v, *f.err == nil && !v.isNull()
}

func (f *fields) fail(format string, args ...any) {
	if *f.err == nil {
		*f.err = fault.New(fault.CodeSerialization, format, args...)
	}
}

// Java's type names of values, as AWS's messages print them. No recording shows the one of bytes.
const (
	javaBoolean = "class java.lang.Boolean"
	javaString  = "class java.lang.String"
	javaNumber  = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	javaBytes   = "class java.nio.HeapByteBuffer"

	foundList = "Start of list found where not expected"
	foundMap  = "Start of structure or map found where not expected."
)

// mismatch refuses a value; target follows "can not be converted to".
func (f *fields) mismatch(v value, target string) {
	switch v.kind() {
	case kindList:
		f.fail(foundList)
	case kindMap:
		f.fail(foundMap)
	case kindBool:
		f.fail("%s can not be converted to %s", javaBoolean, target)
	case kindText:
		f.fail("%s can not be converted to %s", javaString, target)
	case kindBytes:
		f.fail("%s can not be converted to %s", javaBytes, target)
	case kindNumber, kindNull:
		f.fail("%s can not be converted to %s", javaNumber, target)
	}
}

// str reads a String; nil: absent.
func (f *fields) str(name string) *string {
	v, present := f.get(name)
	if !present {
		return nil
	}
	s, ok := f.textOf(v)
	if !ok {
		return nil
	}
	return &s
}

// textOf reads a String that is not null, or refuses it.
func (f *fields) textOf(v value) (s string, ok bool) {
	if v.kind() != kindText {
		f.mismatch(v, "an String")
		return "", false
	}
	return f.in.text(v.raw), true
}

// integer reads an Integer: fractions are floored, what does not fit 32 bits saturates. nil: absent.
func (f *fields) integer(name string) *int64 {
	v, present := f.get(name)
	if !present {
		return nil
	}
	if v.kind() != kindNumber {
		f.mismatch(v, "an Integer")
		return nil
	}
	n := f.in.integer(v.raw)
	return &n
}

// boolean reads a Boolean; nil: absent.
func (f *fields) boolean(name string) *bool {
	v, present := f.get(name)
	if !present {
		return nil
	}
	switch v.kind() {
	case kindBool:
		b := f.in.truth(v.raw)
		return &b
	case kindText:
		f.fail("'%s' can not be converted to an Boolean", clip(strings.ToUpper(f.in.text(v.raw))))
	case kindNull, kindNumber, kindBytes, kindList, kindMap:
		f.mismatch(v, "an Boolean")
	}
	return nil
}

// refuseDryRun refuses a call that asks whether it would succeed: it must not be carried out.
func (f *fields) refuseDryRun() {
	if or(f.boolean("DryRun")) {
		*f.err = absent.Parameter(codeInvalid, "DryRun")
	}
}

// timestamp reads a moment to the millisecond: epoch seconds with a fraction in JSON, milliseconds in CBOR. nil:
// absent.
func (f *fields) timestamp(name string) *record.Millis {
	v, present := f.get(name)
	if !present {
		return nil
	}
	if v.kind() != kindNumber {
		f.mismatch(v, "milliseconds since epoch")
		return nil
	}
	ms := f.in.millis(v.raw)
	return &ms
}

// blob reads bytes, or a text of base64, which is what JSON has; present is false when it is absent. data may be a part
// of the body.
func (f *fields) blob(name string) (data []byte, present bool) {
	v, present := f.get(name)
	if !present {
		return nil, false
	}
	switch v.kind() {
	case kindBytes:
		return f.in.blob(v.raw), true
	case kindText:
		s := f.in.text(v.raw)
		data, why := decodeBlob(s)
		if why != "" {
			f.fail("'%s' can not be converted to a Blob: %s", clip(s), why)
			return nil, false
		}
		return data, true
	case kindNull, kindBool, kindNumber, kindList, kindMap:
		f.mismatch(v, "a Blob")
	}
	return nil, false
}

// decodeBlob decodes padded standard base64, or says in AWS's words (and spelling) why it cannot.
func decodeBlob(s string) (data []byte, why string) {
	length := 0 // as Java counts it
	for _, c := range s {
		length += utf16.RuneLen(c)
	}
	if length%4 != 0 {
		return nil, fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", length)
	}
	for _, c := range strings.TrimRight(s, "=") {
		if !isBase64(c) {
			return nil, fmt.Sprintf("Invalid Base64 character: '%c'", c)
		}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, "Invalid last non-pad Base64 character dectected"
	}
	return data, ""
}

func isBase64(c rune) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// structure reads a nested structure whose known members are names; nil: absent.
func (f *fields) structure(name string, names ...string) *fields {
	v, present := f.get(name)
	if !present {
		return nil
	}
	return f.nested(v, names)
}

// nested reads a structure that is not null, such as an element of a list; nil: it is none.
func (f *fields) nested(v value, names []string) *fields {
	switch v.kind() {
	case kindMap:
		return newFields(v, f.err, names)
	case kindList:
		f.fail(foundList)
	case kindNull, kindBool, kindNumber, kindText, kindBytes:
		f.fail("Expected null")
	}
	return nil
}

// list yields the elements of a list; present is false when it is absent.
func (f *fields) list(name string, element func(value)) (present bool) {
	v, present := f.get(name)
	if !present {
		return false
	}
	switch v.kind() {
	case kindList:
		for raw := range f.in.elements(v.raw) {
			element(value{f.in, raw})
			if *f.err != nil {
				return false
			}
		}
		return true
	case kindMap:
		f.fail(foundMap)
	case kindNull, kindBool, kindNumber, kindText, kindBytes:
		f.fail("Expected list or null")
	}
	return false
}

// keptEntries is how many entries of a list or map are kept: more than any constraint allows, so that the request is
// refused all the same.
const keptEntries = 1000

// strings reads a list of strings, of which null is read as "".
func (f *fields) strings(name string) (all []string, present bool) {
	present = f.list(name, func(v value) {
		s, ok := "", true
		if !v.isNull() {
			s, ok = f.textOf(v)
		}
		if ok && len(all) < keptEntries {
			all = append(all, s)
		}
	})
	return all, present
}

// textMap is a map of strings in the order of the request.
type textMap struct {
	keys   []string
	values map[string]string
}

// texts reads a map of strings, of which null is read as ""; nil: absent.
func (f *fields) texts(name string) *textMap {
	v, present := f.get(name)
	if !present {
		return nil
	}
	switch v.kind() {
	case kindMap:
	case kindList:
		f.fail(foundList)
		return nil
	case kindNull, kindBool, kindNumber, kindText, kindBytes:
		f.fail("Expected map or null")
		return nil
	}
	m := &textMap{values: map[string]string{}}
	for key, raw := range f.in.members(v.raw) {
		s, ok := "", true
		if of := (value{f.in, raw}); !of.isNull() {
			if s, ok = f.textOf(of); !ok {
				return nil
			}
		}
		if _, again := m.values[key]; !again {
			if len(m.keys) == keptEntries {
				continue
			}
			m.keys = append(m.keys, key)
		}
		m.values[key] = s
	}
	return m
}

// clip shortens a caller's text for an answer; AWS repeats it whole.
func clip(s string) string { return fault.Clip(s, 2048) }
