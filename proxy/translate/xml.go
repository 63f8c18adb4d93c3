package translate

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// AnswerXML returns the body of an answer with the names of the other side.
func (s *Service) AnswerXML(n Names, body []byte) []byte {
	_, answer := s.trees()
	return s.xml(n, answer, body)
}

// RequestXML returns the body of a request with the names of the other side.
func (s *Service) RequestXML(n Names, body []byte) []byte {
	request, _ := s.trees()
	return s.xml(n, request, body)
}

// element is an element that has begun.
type element struct {
	path   string
	begin  int  // of its content
	parent bool // it has elements in it
	text   strings.Builder
	leaves map[string]string // short texts of elements in it
}

// xml copies a body, except for the names in it.
func (s *Service) xml(n Names, t *node, body []byte) []byte {
	d := xml.NewDecoder(bytes.NewReader(body))
	w := edit{body: body}
	var open []*element
	for {
		before := int(d.InputOffset())
		token, err := d.RawToken()
		if token == nil || err != nil {
			break
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(open) > maxDepth {
				return body
			}
			e := &element{begin: int(d.InputOffset())}
			if len(open) > 0 {
				up := open[len(open)-1]
				up.parent, e.path = true, xmlPath(up.path, token.Name.Local, len(open))
			}
			open = append(open, e)
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(token)
			}
		case xml.EndElement:
			if len(open) == 0 {
				return body
			}
			e := open[len(open)-1]
			open = open[:len(open)-1]
			if e.parent || len(open) == 0 {
				continue
			}
			up := open[len(open)-1]
			value := e.text.String()
			if len(value) <= maxName {
				if up.leaves == nil {
					up.leaves = map[string]string{}
				}
				up.leaves[token.Name.Local] = value
			}
			k := t.find(e.path)
			if k == nothing {
				k = s.paired(t, e.path, func(_, sibling string) string { return up.leaves[sibling] })
			}
			if changed := n.value(k, value); changed != value {
				var b bytes.Buffer
				_ = xml.EscapeText(&b, []byte(changed)) // a buffer takes everything
				w.replace(e.begin, before, b.Bytes())
			}
		}
	}
	if len(open) != 0 || int(d.InputOffset()) != len(body) {
		return body // no XML: its receiver refuses it
	}
	return w.result()
}

// xmlPath returns the place of an element: without the element around an answer's result, and without the names that
// only lists have.
func xmlPath(up, name string, depth int) string {
	switch {
	case name == "member" || name == "entry" || depth == 1 && strings.HasSuffix(name, "Result"):
		return up
	case up == "":
		return name
	}
	return up + "/" + name
}
