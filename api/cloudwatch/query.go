package cloudwatch

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
)

// namespace is the XML namespace of answers in the query protocol: forms in, XML out. Every client used it until
// December 2025, and curl still does.
const namespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"

func readForm(_ *http.Request, _ wire.Caller, form wire.Form) (wire.Input, error) {
	return func(into any) error { return decodeForm(form, into) }, nil
}

func decodeForm(form wire.Form, input any) error {
	root := &node{}
	for name, values := range form.Values {
		if len(values) > 0 {
			root.put(name, values[0])
		}
	}
	return bind(root, reflect.ValueOf(input).Elem(), "")
}

// node is a parameter of a form, with the parameters whose names go on after a dot. Building the tree once keeps long
// lists cheap.
type node struct {
	text     string
	children map[string]*node
}

// maxDepth is more than the names of any operation have dots.
const maxDepth = 16

func (n *node) put(name, value string) {
	for depth := 0; ; depth++ {
		head, rest, more := strings.Cut(name, ".")
		child := n.children[head]
		if child == nil {
			if n.children == nil {
				n.children = map[string]*node{}
			}
			child = &node{}
			n.children[head] = child
		}
		if n, name = child, rest; !more || depth == maxDepth {
			n.text = value
			return
		}
	}
}

// list returns the elements name.member.1, name.member.2, … up to the first that is missing.
func (n *node) list() []any {
	member := n.children["member"]
	out := []any{}
	for i := 1; member != nil; i++ {
		child := member.children[strconv.Itoa(i)]
		if child == nil {
			break
		}
		out = append(out, child)
	}
	return out
}
