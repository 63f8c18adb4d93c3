package kinesis

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/stream"
)

// A pattern is a regular expression of the model, anchored; messages show its text as in the model.
type pattern struct {
	text  string
	match func(string) bool
}

var (
	namePattern     = &pattern{`[a-zA-Z0-9_.-]+`, isName}
	hashPattern     = &pattern{`0|([1-9]\d{0,38})`, func(s string) bool { return isDecimal(s, 39) }}
	seqPattern      = &pattern{`0|([1-9]\d{0,128})`, func(s string) bool { return isDecimal(s, 129) }}
	resourcePattern = &pattern{
		`arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`, func(s string) bool { return resourceForm().MatchString(s) },
	}
	arnPattern = &pattern{
		`arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, func(s string) bool { return arnForm().MatchString(s) },
	}
)

// consumerPattern is the model's; its text stands in messages as the model has it.
var consumerPattern = &pattern{
	`^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`,
	func(s string) bool { return consumerForm().MatchString(s) },
}

// consumerForm is compiled at its first use, as arnForm.
var consumerForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws.*:kinesis:.*:\d{12}:.*stream/[a-zA-Z0-9_.-]+/consumer/[a-zA-Z0-9_.-]+:[0-9]+$`)
})

// arnForm is compiled when the first ARN comes, not at every start.
var arnForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:arn:aws.*:kinesis:.*:\d{12}:stream/\S+)$`)
})

var resourceForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+)$`)
})

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// isDecimal accepts 0, and 1 to digits digits without a leading 0.
func isDecimal[T string | []byte](s T, digits int) bool {
	if len(s) == 0 || len(s) > digits || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// constraints collects what a request violates, member by member in the order of the model.
type constraints struct{ fault.Violations }

const required, optional = true, false

// text checks a string: pattern, then least and largest number of characters (0: no bound).
func (v *constraints) text(path string, s *string, need bool, p *pattern, lo, hi int) {
	if s == nil {
		if need {
			v.Null(path)
		}
		return
	}
	if p != nil && !p.match(*s) {
		v.Add(path, clip(*s), "Member must satisfy regular expression pattern: "+p.text)
	}
	v.length(path, *s, lo, hi)
}

func (v *constraints) length(path, s string, lo, hi int) {
	if len(s) < lo || len(s) > hi { // only then count characters
		n := utf8.RuneCountInString(s)
		if n < lo {
			v.Add(path, clip(s), fmt.Sprintf("Member must have length greater than or equal to %d", lo))
		}
		if hi > 0 && n > hi {
			v.Add(path, clip(s), fmt.Sprintf("Member must have length less than or equal to %d", hi))
		}
	}
}

// name checks the name of a stream or shard.
func (v *constraints) name(path string, s *string, need bool) {
	v.text(path, s, need, namePattern, 1, 128)
}

// streamARN checks the ARN of a stream, and rewrites an account of fewer than twelve digits to the caller's.
func (v *constraints) streamARN(s *string, need bool) {
	v.text("streamARN", unfolded(s), need, arnPattern, 1, 2048)
}

func (v *constraints) consumerARN(s *string, need bool) {
	v.text("consumerARN", unfolded(s), need, consumerPattern, 1, 2048)
}

// resourceARN checks the ARN of a stream or consumer as streamARN does.
func (v *constraints) resourceARN(s *string) {
	v.text("resourceARN", unfolded(s), required, resourcePattern, 1, 2048)
}

// mode checks a stream mode.
func (v *constraints) mode(s *string, need bool) {
	v.enum("streamModeDetails.streamMode", s, need, string(stream.Provisioned), string(stream.OnDemand))
}

// recordSize checks the largest size of a record.
func (v *constraints) recordSize(n *int64, need bool) {
	v.number("maxRecordSizeInKiB", n, need, 1024, 10240)
}

// unfolded returns s with a twelve-digit account if it has fewer digits, a mistake that we accept; stream.ParseARN
// resolves the account.
func unfolded(s *string) *string {
	if s == nil || len(*s) > 2048 {
		return s
	}
	a, ok := arn.Parse(*s)
	if !ok {
		return s
	}
	var folded bool
	a.Account, folded, ok = arn.FoldAccount(a.Account, "000000000000")
	if !ok || !folded {
		return s
	}
	t := a.String()
	return &t
}

// number checks an integer.
func (v *constraints) number(path string, n *int64, need bool, lo, hi int64) {
	if n == nil {
		if need {
			v.Null(path)
		}
		return
	}
	v.Range(path, *n, lo, hi)
}

// enum checks a string that must be one of values, given in the order of AWS's message.
func (v *constraints) enum(path string, s *string, need bool, values ...string) {
	if s == nil {
		if need {
			v.Null(path)
		}
		return
	}
	for _, x := range values {
		if x == *s {
			return
		}
	}
	v.Add(path, clip(*s), "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
}

// tags checks a map of tags.
func (v *constraints) tags(m *textMap, need bool) {
	if m == nil {
		if need {
			v.Null("tags")
		}
		return
	}
	if len(m.keys) < 1 {
		v.Add("tags", m.String(), "Member must have length greater than or equal to 1")
	}
	if len(m.keys) > 200 {
		v.Add("tags", m.String(), "Member must have length less than or equal to 200")
	}
	badKey, badValue := false, false
	for _, k := range m.keys {
		n := utf8.RuneCountInString(k)
		badKey = badKey || n < 1 || n > 128
		badValue = badValue || utf8.RuneCountInString(m.values[k]) > 256
	}
	if badKey {
		v.Add(
			"tags", m.String(),
			"Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
		)
	}
	if badValue {
		v.Add(
			"tags", m.String(),
			"Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]",
		)
	}
}

// tagKeys checks a list of keys of tags.
func (v *constraints) tagKeys(keys []string, present bool) {
	const path, most = "tagKeys", 50
	if !present {
		v.Null(path)
		return
	}
	shown := clip("[" + strings.Join(keys, ", ") + "]")
	if len(keys) < 1 {
		v.Add(path, shown, "Member must have length greater than or equal to 1")
	}
	if len(keys) > most {
		v.Add(path, shown, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	for _, k := range keys {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 {
			v.Add(path, shown, "Member must satisfy constraint: [Member must have length less than or equal to 128, "+
				"Member must have length greater than or equal to 1]")
			break
		}
	}
}

// String renders m as AWS's messages do.
func (m *textMap) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range m.keys {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k + "=" + m.values[k])
		if b.Len() > 1<<16 {
			break // it will be clipped
		}
	}
	b.WriteByte('}')
	return clip(b.String())
}
