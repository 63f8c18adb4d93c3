package kinesis

import (
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/internal/jsontext"
	"github.com/shardmill/shardmill/record"
)

// asJSON is JSON 1.1.
type asJSON struct{}

func (asJSON) contentType() string { return typeJSON }

func (asJSON) object(body []byte) bool {
	i := skipSpace(body, 0)
	return i < len(body) && body[i] == '{' && json.Valid(body) && jsontext.Faithful(body)
}

func (asJSON) kind(raw []byte) kind {
	switch raw[0] {
	case 'n':
		return kindNull
	case 't', 'f':
		return kindBool
	case '"':
		return kindText
	case '[':
		return kindList
	case '{':
		return kindMap
	}
	return kindNumber
}

func (asJSON) truth(raw []byte) bool { return raw[0] == 't' }

func (asJSON) integer(raw []byte) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		x, _ := strconv.ParseFloat(string(raw), 64) // ±Inf beyond its range
		n = int64(max(min(math.Floor(x), math.MaxInt32), math.MinInt32))
	}
	return max(min(n, math.MaxInt32), math.MinInt32)
}

// millis reads epoch seconds with a fraction.
func (asJSON) millis(raw []byte) record.Millis { return millisOf(string(raw)) }

// latest is the largest timestamp that is read, in milliseconds; larger ones are taken for it.
const latest = math.MaxInt64 / 4

// millisOf reads seconds in decimal, cut to whole milliseconds. Plain decimals are read digit by digit, so that
// 1506440188.749 is exactly that.
func millisOf(number string) record.Millis {
	whole, fraction, _ := strings.Cut(number, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && seconds >= 0 && seconds < latest/1000 && !strings.ContainsAny(number, "eE-") {
		thousandths, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
		return record.Millis(seconds*1000 + thousandths)
	}
	x, _ := strconv.ParseFloat(number, 64)
	return record.Millis(max(min(math.Floor(x*1000), latest), -latest))
}

// blob is not called: JSON has no bytes.
func (asJSON) blob([]byte) []byte { return nil }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch b[i] {
			case '"':
				i = stringEnd(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && !endsScalar(b[i]) {
		i++
	}
	return i
}

func endsScalar(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// stringEnd returns the index behind the closing quote of the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func (asJSON) members(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		i := skipSpace(b, skipSpace(b, 0)+1)
		for b[i] != '}' {
			nameEnd := stringEnd(b, i)
			name := asJSON{}.text(b[i:nameEnd])
			i = skipSpace(b, skipSpace(b, nameEnd)+1) // behind the colon
			end := valueEnd(b, i)
			if !yield(name, b[i:end]) {
				return
			}
			i = skipSpace(b, end)
			if b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

func (asJSON) elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipSpace(b, skipSpace(b, 0)+1)
		for b[i] != ']' {
			end := valueEnd(b, i)
			if !yield(b[i:end]) {
				return
			}
			i = skipSpace(b, end)
			if b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

func (asJSON) text(raw []byte) string {
	plain := true
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(err) // the body was valid as a whole
	}
	return s
}
