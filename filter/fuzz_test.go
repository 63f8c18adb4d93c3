package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shardmill/shardmill/filter"
)

// writer writes random patterns and records out of few names and values, so that they often meet.
type writer struct{ *rand.Rand }

func newWriter(seed uint64) writer { return writer{rand.New(rand.NewPCG(seed, 0x66696c746572))} }

func pick[T any](w writer, of ...T) T { return of[w.IntN(len(of))] }

func (w writer) name() string { return pick(w, "a", "b", "c", "d", "a.b", "$or", "é", "long name") }

func (w writer) word() string {
	return pick(w, "", "a", "A", "ab", "aB", "abc", "aab", "bab", "é", "É", "ſ", "s", "K", "\u212a", "k", "*", `\`,
		`a\*b`, "10.0.0.7", "10.0.1.7", "2001:db8::1", "::ffff:10.0.0.7", "\U0001f600", "300", "true", `"`, "tab\t",
		"a rather long text that does not fit a word", "\ufffd")
}

func (w writer) num() string {
	return pick(w, "0", "-0", "1", "1.0", "10", "1e1", "10.0001", "20", "300", "300.0", "3.0e2", "-7", "1e400", "-1e400",
		"123456789012345678901234567890", "9007199254740993", "0.1", "1E-7")
}

func (w writer) bound() string {
	return pick(w, "0", "1", "10", "20", "300", "-7.5", "9007199254740992")
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// escaped is a string with some of its characters escaped.
func (w writer) escaped(s string) string {
	out := strings.Builder{}
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case w.IntN(8) == 0 && r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		case w.IntN(8) == 0 && r > 0xffff:
			fmt.Fprintf(&out, `\u%04X\u%04X`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case r == '"' || r == '\\' || r < ' ':
			one := quoted(string(r))
			out.WriteString(one[1 : len(one)-1])
		default:
			out.WriteRune(r)
		}
	}
	if w.IntN(60) == 0 {
		out.WriteString(pick(w, `\ud83d`, `\ude00`, `\ud83dx`, `\/`, `\b`, `\u00E9`, `\ud83d\ud83d\ude00`))
	}
	out.WriteByte('"')
	return out.String()
}

func (w writer) gap() string { return pick(w, "", "", "", "", " ", "\n\t", "\r ") }

// value is a JSON value of a record.
func (w writer) value(depth int) string {
	switch n := w.IntN(12); {
	case n < 3:
		return w.escaped(w.word())
	case n < 5:
		return w.num()
	case n < 6:
		return pick(w, "true", "false", "null")
	case n < 8 && depth > 0:
		list := make([]string, w.IntN(4))
		for i := range list {
			list[i] = w.gap() + w.value(depth-1) + w.gap()
		}
		return "[" + strings.Join(list, ",") + "]"
	case depth > 0:
		return w.object(depth - 1)
	}
	return w.escaped(w.word())
}

func (w writer) object(depth int) string {
	list := make([]string, w.IntN(5))
	for i := range list {
		list[i] = w.gap() + w.escaped(w.name()) + w.gap() + ":" + w.gap() + w.value(depth) + w.gap()
	}
	return "{" + strings.Join(list, ",") + "}"
}

// pattern is a legal pattern's object.
func (w writer) pattern(depth int) string {
	list := []string{}
	for range 1 + w.IntN(3) {
		switch n := w.IntN(8); {
		case n == 0 && depth > 0:
			list = append(list, fmt.Sprintf(`"$or":[%s,%s]`, w.pattern(depth-1), w.pattern(depth-1)))
		case n < 3 && depth > 0:
			list = append(list, quoted(w.name())+":"+w.pattern(depth-1))
		default:
			list = append(list, quoted(w.name())+":"+w.rule())
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

func (w writer) rule() string {
	list := []string{}
	n := 1 + w.IntN(3)
	if w.IntN(20) == 0 {
		n = 20
	}
	for range n {
		list = append(list, w.test())
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (w writer) test() string {
	s, few := quoted(w.word()), quoted(pick(w, "a", "A", "b", "é"))
	switch w.IntN(20) {
	case 0:
		return w.num()
	case 1:
		return pick(w, "true", "false", "null")
	case 2:
		return `{"prefix":` + few + `}`
	case 3:
		return `{"suffix":` + few + `}`
	case 4:
		return `{"` + pick(w, "prefix", "suffix") + `":{"equals-ignore-case":` + quoted(pick(w, "a", "AB", "S", "é", "")) + `}}`
	case 5:
		return `{"equals-ignore-case":` + s + `}`
	case 6:
		return `{"anything-but":` + pick(w, s, w.num(), "["+s+","+few+"]", "["+w.num()+","+w.num()+"]") + `}`
	case 7:
		return `{"anything-but":{"` + pick(w, "prefix", "suffix", "equals-ignore-case") + `":` +
			pick(w, few, "["+few+`,"x"]`) + `}}`
	case 8:
		return `{"anything-but":{"wildcard":` + w.stars() + `}}`
	case 9, 10:
		low, high := w.bound(), w.bound()
		a, _ := json.Number(low).Float64()
		b, _ := json.Number(high).Float64()
		if a < b {
			return `{"numeric":["` + pick(w, ">", ">=") + `",` + low + `,"` + pick(w, "<", "<=") + `",` + high + `]}`
		}
		return `{"numeric":["` + pick(w, "=", "<", "<=", ">", ">=") + `",` + low + `]}`
	case 11, 12:
		return `{"exists":` + pick(w, "true", "false") + `}`
	case 13:
		return `{"wildcard":` + w.stars() + `}`
	case 14:
		return `{"cidr":"` + pick(w, "10.0.0.0/24", "10.0.0.0/8", "2001:db8::/32", "::ffff:10.0.0.0/120", "0.0.0.0/0") + `"}`
	case 15:
		return `{"exactly":` + s + `}`
	}
	return s
}

func (w writer) stars() string {
	return quoted(pick(w, "*", "a*", "*b", "*a*", "a*b", "*a*b*", `\**`, `a\\*`, "", "ab", "é*"))
}

// record is a record's data: mostly a JSON object.
func (w writer) record() string {
	text := w.gap() + w.object(4) + w.gap()
	switch w.IntN(16) {
	case 0:
		return w.value(2)
	case 1:
		at := w.IntN(len(text))
		return text[:at] + pick(w, "", "{", "]", ",", "\"", "\x00", "\xff", "0", "é") + text[at+w.IntN(2):]
	}
	return text
}

func (w writer) metadata() string {
	return fmt.Sprintf(`{"partitionKey":%s,"a":%s}`, quoted(w.word()), w.num())
}

// agree holds the matcher and its explanation against the naive matcher.
func agree(t *testing.T, patterns []string, f *filter.Filter, m *filter.Matcher, metadata, data string) {
	t.Helper()
	want := passes(patterns, metadata, data)
	if got := m.Match([]byte(metadata), []byte(data)); got != want {
		t.Fatalf("%s\nand the record %s\n%s\nmatch: %v, want %v", patterns, metadata, data, got, want)
	}
	why := f.Explain([]byte(metadata), []byte(data))
	if (why == nil) != want || why != nil && len(why) != len(patterns) {
		t.Fatalf("%s\nand the record %s\n%s\nmatch: %v, explained by %v", patterns, metadata, data, want, why)
	}
}

// compare makes filters and records out of a seed, and compares what the matchers say of them.
func compare(t *testing.T, seed uint64, more string) (matched int) {
	t.Helper()
	w := newWriter(seed)
	patterns := []string{}
	for range 1 + w.IntN(3) {
		p := `{"data":` + w.pattern(3) + `}`
		switch w.IntN(6) {
		case 0:
			p = fmt.Sprintf(`{"partitionKey":%s,"data":%s}`, w.rule(), w.pattern(2))
		case 1:
			p = w.pattern(1)
		case 2:
			p = fmt.Sprintf(`{"$or":[{"data":%s},{"partitionKey":%s}]}`, w.pattern(1), w.rule())
		}
		patterns = append(patterns, p)
	}
	f, err := filter.Compile(patterns)
	if err != nil {
		t.Fatalf("%s: %s", patterns, err)
	}
	m := f.Matcher()
	agree(t, patterns, f, m, w.metadata(), more)
	for range 12 {
		metadata, data := w.metadata(), w.record()
		agree(t, patterns, f, m, metadata, data)
		if m.Match([]byte(metadata), []byte(data)) {
			matched++
		}
	}
	return matched
}

func TestMatchAgreesWithTheNaiveMatcher(t *testing.T) {
	t.Parallel()
	matched := 0
	for seed := range uint64(600) {
		matched += compare(t, seed, "")
	}
	if matched < 800 || matched > 6400 {
		t.Errorf("%d of 7200 records match: such a run proves little", matched)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), `{"a":[{"b":1},{"b":"x"}],"a.b":null}`)
	f.Add(uint64(2), ` {"a":"\ud83d\ude00","a":"\ud83d"} `)
	f.Add(uint64(3), `{"a":1`)
	f.Add(uint64(4), "{\"a\":\"\xff\"}")
	f.Fuzz(func(t *testing.T, seed uint64, data string) { compare(t, seed, data) })
}

// Data is JSON exactly if encoding/json thinks so and it is UTF-8, wherever the pattern looks.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, ` {"a" : [1,{"b":[]}, "x\u00e9"] } `, `{"a":-0.1e+5,"b":tru}`, `{"a":01}`, `{"a":"\x"}`, `{"a":"` + "\x1f" + `"}`,
		`{"a":1,}`, `{"a":[1,]}`, `{"a":{"b":}}`, `{,}`, `{"a":1}}`, `{"skip":{"x":[[[{"y":"é"}]]]},"a":null}`, "{\"a\":\"\x80\"}",
		`{"skip":[}`, `{"skip":{]}`, `{"skip":[1 2]}`, `{"skip":"\ud83d"}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `[]`, `1`, ``,
	} {
		f.Add([]byte(s))
	}
	top, err := filter.Compile([]string{`{"data":{"no such name":[{"exists":false}]}}`})
	if err != nil {
		f.Fatal(err)
	}
	deep, err := filter.Compile([]string{`{"data":{"$or":[{"a":{"b":[{"exists":true}]}},{"a":{"b":[{"exists":false}]}},{"a":["a"]}]}}`})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var object map[string]json.RawMessage
		want := utf8.Valid(data) && json.Unmarshal(data, &object) == nil && object != nil
		if _, there := object["no such name"]; there {
			t.Skip()
		}
		if got := top.Matcher().Match(nil, data); got != want {
			t.Errorf("%q: taken for a JSON object: %v, want %v", data, got, want)
		}
		if got := deep.Matcher().Match(nil, data); got != want {
			t.Errorf("%q: read for its fields: taken for a JSON object: %v, want %v", data, got, want)
		}
	})
}

// Whatever a pattern is, it is compiled or refused with a place inside it, and what is compiled can be matched.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"data":{"a":["x",1,null,{"prefix":"p"},{"numeric":[">",1,"<=",2]}]}}`, `{"$or":[{"a":[1]},{"b":[2]}]}`, `{"a":1}`, `{`, ``,
		`{"data":["x"]}`, `{"a":[{"wildcard":"**"}]}`, `{"a":[{"cidr":"10.0.0.0/33"}]}`, `{"a":["\ud83d"]}`,
		`{"a":[{"anything-but":{"prefix":["a","b"]}}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		c, err := filter.Compile([]string{pattern})
		if err != nil {
			e := (*filter.Error)(nil)
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(pattern) || e.Why == "" {
				t.Errorf("%q: %#v", pattern, e)
			}
			return
		}
		w, m := newWriter(uint64(len(pattern))), c.Matcher()
		for range 4 {
			agree(t, []string{pattern}, c, m, w.metadata(), w.record())
		}
	})
}
