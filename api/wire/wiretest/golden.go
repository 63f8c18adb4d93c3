package wiretest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Golden is one call of a real client with the answer that it got. All calls of a client in their order are a story;
// what differs from run to run stands in braces and means the same wherever it comes again.
type Golden struct {
	Operation, Client, Case string
	Turn                    int // from 1
	Request, Answer         Message
}

// Message is a request or an answer.
type Message struct {
	First  string   // its first line
	Header []string // lines in order, without those that differ from run to run
	Body   []byte
}

// path of the file that holds g, below a directory.
func (g *Golden) path(dir string) string {
	return filepath.Join(dir, g.Operation, g.Client+"-"+strings.ReplaceAll(g.Case, " ", "-")+".http")
}

// Write writes g to its file below a directory.
func (g *Golden) Write(dir string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s %03d: %s\n", g.Client, g.Turn, g.Case)
	for i, m := range []Message{g.Request, g.Answer} {
		if i > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(m.First + "\n")
		for _, line := range m.Header {
			b.WriteString(line + "\n")
		}
		b.WriteString("\n")
		if utf8.Valid(m.Body) && !bytes.ContainsAny(m.Body, "\n\xff") {
			b.Write(m.Body)
		} else {
			b.WriteString(strconv.QuoteToASCII(string(m.Body)))
		}
	}
	b.WriteString("\n")
	path := g.path(dir)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Stories reads all files below a directory: the calls of each client in order.
func Stories(dir string) (map[string][]Golden, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.http"))
	if err != nil {
		return nil, err
	}
	stories := map[string][]Golden{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		g, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		g.Operation = filepath.Base(filepath.Dir(file))
		stories[g.Client] = append(stories[g.Client], g)
	}
	for _, story := range stories {
		slices.SortFunc(story, func(a, b Golden) int { return a.Turn - b.Turn })
	}
	return stories, nil
}

func parse(text string) (g Golden, err error) {
	parts := strings.SplitN(strings.TrimSuffix(text, "\n"), "\n\n", 4)
	title, head, ok := strings.Cut(parts[0], "\n")
	if len(parts) != 4 || !ok {
		return g, fmt.Errorf("want a title, a request and an answer")
	}
	title, g.Case, _ = strings.Cut(strings.TrimPrefix(title, "# "), ": ")
	client, turn, _ := strings.Cut(title, " ")
	g.Client = client
	if g.Turn, err = strconv.Atoi(turn); err != nil {
		return g, err
	}
	if g.Request, err = message(head, parts[1]); err != nil {
		return g, err
	}
	g.Answer, err = message(parts[2], parts[3])
	return g, err
}

func message(head, body string) (m Message, err error) {
	lines := strings.Split(strings.TrimPrefix(head, "\n"), "\n")
	m.First, m.Header = lines[0], lines[1:]
	if strings.HasPrefix(body, `"`) {
		if body, err = strconv.Unquote(body); err != nil {
			return m, err
		}
	}
	m.Body = []byte(body)
	return m, nil
}

// Apply sets the header of a request as it was sent.
func (m *Message) Apply(h http.Header) {
	for _, line := range m.Header {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
}

// anew are the headers that come anew with each call, or belong to the connection.
var anew = []string{
	"Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Connection", "Content-Length", "Date", "Expect",
	"Host", "X-Amz-Content-Sha256", "X-Amz-Id-2", "X-Amzn-Requestid",
}

// Kept returns the lines of a header that are the same in each run.
func Kept(h http.Header) (lines []string) {
	for name, values := range h {
		if !slices.Contains(anew, name) {
			for _, v := range values {
				lines = append(lines, name+": "+v)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// Tell plays a story back: send makes each call, and its answer must be the recorded one.
func Tell(
	t testing.TB, story []Golden,
	send func(g Golden, body []byte) (status int, header http.Header, answer []byte),
) {
	t.Helper()
	values := Values{}
	for _, g := range story {
		status, header, body := send(g, values.Fill(g.Request.Body))
		where := fmt.Sprintf("%s, turn %d, %s, %s", g.Client, g.Turn, g.Operation, g.Case)
		if first := fmt.Sprintf("HTTP/1.1 %d %s", status, http.StatusText(status)); first != g.Answer.First {
			t.Fatalf("%s: %s %s", where, first, body)
		}
		if kept := Kept(header); !slices.Equal(kept, g.Answer.Header) {
			t.Errorf("%s: the header is %q, want %q", where, kept, g.Answer.Header)
		}
		if err := values.Match(g.Answer.Body, body); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
}

// varying are the forms of what differs from run to run: sequence numbers (which have 56 digits, and so x8 before them
// in CBOR), sealed tokens, when a consumer was made, timestamps, and how old a record is. The last group is what
// varies.
var varying = []struct {
	name string
	form *regexp.Regexp
}{
	{"seq", regexp.MustCompile(`(x8|\b)(\d{56})`)},
	{"token", regexp.MustCompile(`()([A-Za-z0-9+/=]{100,})`)},
	{"made", regexp.MustCompile(`(consumer/[\w-]+:)(\d{10})`)},
	{"time", regexp.MustCompile(`((?:Timestamp|At)":)(\d{10}(?:\.\d{1,3})?)`)},
	{age, regexp.MustCompile(`(MillisBehindLatest":)([1-9]\d*)`)},
}

// age is the kind of what no request repeats; span is that in CBOR.
const age, span = "age", "span"

// cborAge goes before an age in CBOR.
const cborAge = "\x72MillisBehindLatest"

// cborTime begins a timestamp of our times in CBOR; six bytes of it follow.
const cborTime = "\xc1\x1b\x00\x00"

// Masks gives names to what varies within a story. The zero value is ready.
type Masks struct {
	names map[string]string // by value
	count map[string]int
}

// Answer returns the body of an answer with names in the place of what varies.
func (m *Masks) Answer(body []byte) []byte {
	for _, v := range varying {
		body = v.form.ReplaceAllFunc(body, func(found []byte) []byte {
			groups := v.form.FindSubmatch(found)
			return append(bytes.Clone(groups[1]), m.name(v.name, string(groups[2]))...)
		})
	}
	if before, after, ok := bytes.Cut(body, []byte(cborAge)); ok && after[0] != 0 {
		body = slices.Concat(before, []byte(cborAge+"{{"+span+"}}"), after[length(span, after):])
	}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(cborTime))
		if i < 0 || at+i+10 > len(body) {
			return body
		}
		from := at + i + len(cborTime)
		moment := make([]byte, 6)
		copy(moment, body[from:])
		body = slices.Concat(body[:from], []byte(m.name("ms", string(moment))), body[from+6:])
		at = from
	}
}

// Request returns the body of a request with the names of values that answers have had.
func (m *Masks) Request(body []byte) []byte {
	longer := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) } // before what it contains
	for _, value := range slices.SortedFunc(maps.Keys(m.names), longer) {
		body = bytes.ReplaceAll(body, []byte(value), []byte(m.names[value]))
	}
	return body
}

func (m *Masks) name(kind, value string) string {
	if kind == age {
		return "{{" + age + "}}"
	}
	if m.names == nil {
		m.names, m.count = map[string]string{}, map[string]int{}
	}
	name := m.names[value]
	if name == "" {
		m.count[kind]++
		name = fmt.Sprintf("{{%s%d}}", kind, m.count[kind])
		m.names[value] = name
	}
	return name
}

// Values are what the names of a story stand for while it is told again.
type Values map[string]string

var nameForm = regexp.MustCompile(`\{\{([a-z]+)\d*\}\}`)

// Fill returns a body with values in the place of names.
func (v Values) Fill(body []byte) []byte {
	return nameForm.ReplaceAllFunc(body, func(name []byte) []byte { return []byte(v[string(name)]) })
}

// Match reports where an answer differs from what was recorded, and keeps what new names stand for. Timestamps may
// differ from each other where they were equal, and the reverse.
func (v Values) Match(recorded, got []byte) error {
	rest := got
	for {
		found := nameForm.FindSubmatch(recorded)
		if found == nil {
			if !bytes.Equal(recorded, rest) {
				return fmt.Errorf("%q stands where %q is recorded", rest, recorded)
			}
			return nil
		}
		before, after, _ := bytes.Cut(recorded, found[0])
		name, kind := string(found[0]), string(found[1])
		var ok bool
		if rest, ok = bytes.CutPrefix(rest, before); !ok {
			return fmt.Errorf("%.200q stands where %q is recorded", rest, before)
		}
		n := length(kind, rest)
		if n < 0 {
			return fmt.Errorf("%.200q is no %s", rest, kind)
		}
		value := string(rest[:n])
		if before, told := v[name]; told && before != value && (kind == "seq" || kind == "token") {
			return fmt.Errorf("%s was %s and is %s", name, before, value)
		}
		v[name] = value
		rest, recorded = rest[n:], after
	}
}

// length returns how many bytes at the beginning of b are of a kind.
func length(kind string, b []byte) int {
	allowed := "0123456789"
	switch kind {
	case "ms":
		return min(6, len(b))
	case span: // a whole number, after whose first byte come up to eight
		if len(b) == 0 || b[0] > 0x1b {
			return -1
		}
		return min(1+1<<max(b[0], 0x17)>>0x18, len(b))
	case "time":
		allowed += "."
	case "token":
		allowed += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/="
	}
	n := len(b) - len(bytes.TrimLeft(b, allowed))
	if n == 0 {
		return -1
	}
	return n
}
