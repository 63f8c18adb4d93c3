package kinesis

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// fields reads the members of one JSON object as the types of the model. Other members are unknown to the operation and
// dropped; null means absent; if a member is given twice the last one counts. The first value of a wrong type, in the
// order in which members are read (the model's order), becomes the request's SerializationException. Source: texts
// recorded from AWS by kinesalite.
type fields struct {
	names []string
	raws  [][]byte
	err   *error // the first error of the whole request
}

// request reads the body of c, whose known members are names. Anything but a JSON object has no members and is an
// error.
func (c *call) request(names ...string) *fields {
	if !isObject(c.body) {
		err := error(&fault.Error{Code: fault.CodeSerialization})
		return &fields{names: names, raws: make([][]byte, len(names)), err: &err}
	}
	return newFields(c.body, new(error), names)
}

func newFields(raw []byte, err *error, names []string) *fields {
	f := &fields{names: names, raws: make([][]byte, len(names)), err: err}
	for name, value := range members(raw) {
		if i := slices.Index(names, name); i >= 0 {
			f.raws[i] = value
		}
	}
	return f
}

// get returns the raw value of a member, nil when it is absent or null, or when an earlier member was of a wrong type.
func (f *fields) get(name string) []byte {
	raw := f.raws[slices.Index(f.names, name)]
	if *f.err != nil || isNull(raw) {
		return nil
	}
	return raw
}

func (f *fields) fail(format string, args ...any) {
	if *f.err == nil {
		*f.err = fault.New(fault.CodeSerialization, format, args...)
	}
}

// Java's type names of values, as AWS's messages print them.
const (
	javaBoolean = "class java.lang.Boolean"
	javaString  = "class java.lang.String"
	javaNumber  = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"

	foundList = "Start of list found where not expected"
	foundMap  = "Start of structure or map found where not expected."
)

// mismatch refuses a value; target follows "can not be converted to".
func (f *fields) mismatch(raw []byte, target string) {
	switch {
	case isList(raw):
		f.fail(foundList)
	case isMap(raw):
		f.fail(foundMap)
	case isBool(raw):
		f.fail("%s can not be converted to %s", javaBoolean, target)
	case isString(raw):
		f.fail("%s can not be converted to %s", javaString, target)
	default:
		f.fail("%s can not be converted to %s", javaNumber, target)
	}
}

// str reads a String; nil: absent.
func (f *fields) str(name string) *string {
	raw := f.get(name)
	if raw == nil {
		return nil
	}
	if !isString(raw) {
		f.mismatch(raw, "an String")
		return nil
	}
	s := text(raw)
	return &s
}

// integer reads an Integer: fractions are floored, what does not fit 32 bits saturates. nil: absent.
func (f *fields) integer(name string) *int64 {
	raw := f.get(name)
	if raw == nil {
		return nil
	}
	if !isNumber(raw) {
		f.mismatch(raw, "an Integer")
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		x, _ := strconv.ParseFloat(string(raw), 64) // ±Inf beyond its range
		n = int64(max(min(math.Floor(x), math.MaxInt32), math.MinInt32))
	}
	n = max(min(n, math.MaxInt32), math.MinInt32)
	return &n
}

func isNumber(raw []byte) bool {
	return !isString(raw) && !isBool(raw) && !isList(raw) && !isMap(raw)
}

// boolean reads a Boolean; nil: absent.
func (f *fields) boolean(name string) *bool {
	raw := f.get(name)
	switch {
	case raw == nil:
		return nil
	case isBool(raw):
		b := raw[0] == 't'
		return &b
	case isString(raw):
		f.fail("'%s' can not be converted to an Boolean", clip(strings.ToUpper(text(raw))))
	default:
		f.mismatch(raw, "an Boolean")
	}
	return nil
}

// timestamp reads epoch seconds with a fraction, to the millisecond; nil: absent.
func (f *fields) timestamp(name string) *record.Millis {
	raw := f.get(name)
	if raw == nil {
		return nil
	}
	if !isNumber(raw) {
		f.mismatch(raw, "milliseconds since epoch")
		return nil
	}
	ms := millisOf(string(raw))
	return &ms
}

// millisOf reads seconds in decimal, cut to whole milliseconds. Plain decimals are read digit by digit, so that
// 1506440188.749 is exactly that.
func millisOf(number string) record.Millis {
	const most = math.MaxInt64 / 4
	whole, fraction, _ := strings.Cut(number, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && seconds >= 0 && seconds < most/1000 && !strings.ContainsAny(number, "eE-") {
		thousandths, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
		return record.Millis(seconds*1000 + thousandths)
	}
	x, _ := strconv.ParseFloat(number, 64)
	return record.Millis(max(min(math.Floor(x*1000), most), -most))
}

// blob reads base64; present is false when it is absent.
func (f *fields) blob(name string) (data []byte, present bool) {
	raw := f.get(name)
	if raw == nil {
		return nil, false
	}
	if !isString(raw) {
		f.mismatch(raw, "a Blob")
		return nil, false
	}
	s := text(raw)
	data, why := decodeBlob(s)
	if why != "" {
		f.fail("'%s' can not be converted to a Blob: %s", clip(s), why)
		return nil, false
	}
	return data, true
}

// decodeBlob decodes padded standard base64, or says in AWS's words (and spelling) why it cannot.
func decodeBlob(s string) (data []byte, why string) {
	if len(s)%4 != 0 {
		return nil, fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", len(s))
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
	raw := f.get(name)
	if raw == nil {
		return nil
	}
	return f.nested(raw, names)
}

func (f *fields) nested(raw []byte, names []string) *fields {
	switch {
	case isList(raw):
		f.fail(foundList)
	case !isMap(raw):
		f.fail("Expected null")
	default:
		return newFields(raw, f.err, names)
	}
	return nil
}

// list yields the raw elements of a list; present is false when it is absent.
func (f *fields) list(name string, element func(raw []byte)) (present bool) {
	raw := f.get(name)
	switch {
	case raw == nil:
		return false
	case isMap(raw):
		f.fail(foundMap)
	case !isList(raw):
		f.fail("Expected list or null")
	default:
		for e := range elements(raw) {
			element(e)
			if *f.err != nil {
				return false
			}
		}
		return true
	}
	return false
}

// textMap is a map of strings in the order of the request.
type textMap struct {
	keys   []string
	values map[string]string
}

// mapEntries is how many entries of a map are kept: more than any constraint allows, so that the request is refused all
// the same.
const mapEntries = 1000

// texts reads a map of strings; nil: absent.
func (f *fields) texts(name string) *textMap {
	raw := f.get(name)
	switch {
	case raw == nil:
		return nil
	case isList(raw):
		f.fail(foundList)
		return nil
	case !isMap(raw):
		f.fail("Expected map or null")
		return nil
	}
	m := &textMap{values: map[string]string{}}
	for key, value := range members(raw) {
		s := ""
		if !isNull(value) {
			if !isString(value) {
				f.mismatch(value, "an String")
				return nil
			}
			s = text(value)
		}
		if _, again := m.values[key]; !again {
			if len(m.keys) == mapEntries {
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
