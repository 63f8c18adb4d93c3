package translate

import (
	"bytes"
	"encoding/json"
)

// RequestJSON returns the body of a request with the names of the other side.
func (s *Service) RequestJSON(n Names, body []byte) []byte {
	request, _ := s.trees()
	return n.json(request, body)
}

// AnswerJSON returns the body of an answer with the names of the other side.
func (s *Service) AnswerJSON(n Names, body []byte) []byte {
	_, answer := s.trees()
	return n.json(answer, body)
}

// json copies a body, except for the names in it.
func (n Names) json(t *node, body []byte) []byte {
	w := jsonWalk{edit: edit{body: body}, names: n}
	if end := w.value(0, t, 0); end < 0 || w.space(end) != len(body) {
		return body // no JSON: its receiver refuses it
	}
	return w.result()
}

// edit is a body with replacements, in order.
type edit struct {
	body []byte
	out  []byte
	done int // bytes of body that are in out
}

func (e *edit) replace(from, to int, by []byte) {
	e.out = append(append(e.out, e.body[e.done:from]...), by...)
	e.done = to
}

func (e *edit) result() []byte {
	if e.done == 0 {
		return e.body
	}
	return append(e.out, e.body[e.done:]...)
}

// maxDepth bounds nesting. AWS's own items have 32 levels.
const maxDepth = 500

type jsonWalk struct {
	edit
	names Names
}

// value passes the value at i and returns the place behind it; -1: there is none.
func (w *jsonWalk) value(i int, at *node, depth int) int {
	i = w.space(i)
	if i >= len(w.body) || depth > maxDepth {
		return -1
	}
	switch w.body[i] {
	case '{':
		return w.object(i+1, at, depth)
	case '[':
		return w.list(i+1, at, depth)
	case '"':
		end := w.literal(i)
		if end > 0 && at != nil && at.kind != nothing {
			w.text(i, end, at.kind)
		}
		return end
	}
	end := i
	for end < len(w.body) && bytes.IndexByte([]byte(" \t\r\n,]}"), w.body[end]) < 0 {
		end++
	}
	if end == i || bytes.ContainsAny(w.body[i:end], `"{[:`) {
		return -1
	}
	return end
}

func (w *jsonWalk) object(i int, at *node, depth int) int {
	if i = w.space(i); i < len(w.body) && w.body[i] == '}' {
		return i + 1
	}
	for {
		i = w.space(i)
		if i >= len(w.body) || w.body[i] != '"' {
			return -1
		}
		end := w.literal(i)
		if end < 0 {
			return -1
		}
		var below *node
		if at != nil {
			below = at.child(decoded(w.body[i:end]))
			if at.names != nothing {
				w.text(i, end, at.names)
			}
		}
		if i = w.space(end); i >= len(w.body) || w.body[i] != ':' {
			return -1
		}
		if i = w.value(i+1, below, depth+1); i < 0 {
			return -1
		}
		next, more := w.separator(i, '}')
		if !more {
			return next
		}
		i = next
	}
}

func (w *jsonWalk) list(i int, at *node, depth int) int {
	if i = w.space(i); i < len(w.body) && w.body[i] == ']' {
		return i + 1
	}
	for {
		if i = w.value(i, at, depth+1); i < 0 {
			return -1
		}
		next, more := w.separator(i, ']')
		if !more {
			return next
		}
		i = next
	}
}

// separator passes a comma, after which more comes, or the end.
func (w *jsonWalk) separator(i int, end byte) (next int, more bool) {
	if i = w.space(i); i < len(w.body) {
		switch w.body[i] {
		case ',':
			return i + 1, true
		case end:
			return i + 1, false
		}
	}
	return -1, false
}

func (w *jsonWalk) space(i int) int {
	for i < len(w.body) && (w.body[i] == ' ' || w.body[i] == '\t' || w.body[i] == '\r' || w.body[i] == '\n') {
		i++
	}
	return i
}

// literal returns the place behind the string that begins at i; -1: it does not end.
func (w *jsonWalk) literal(i int) int {
	for i++; i < len(w.body); i++ {
		switch w.body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// text replaces a string by what the other side calls it.
func (w *jsonWalk) text(from, to int, k kind) {
	s := decoded(w.body[from:to])
	if changed := w.names.value(k, s); changed != s {
		w.replace(from, to, quoted(changed))
	}
}

// decoded returns the text of a string; "" if it is none.
func decoded(literal []byte) (s string) {
	if json.Unmarshal(literal, &s) != nil {
		return ""
	}
	return s
}

func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string can always be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
