package cloudwatch

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// queryCodec is the query protocol: forms in, XML out. Every client spoke it until December 2025, and curl does.
type queryCodec struct{}

const namespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"

// formKey is where the parsed form of a request lies in its context.
type formKey struct{}

// parse reads the form, which holds the name of the operation too.
func (queryCodec) parse(r *http.Request) error {
	form, err := wire.ReadForm(r, maxRequestBytes)
	if err != nil {
		return err
	}
	*r = *r.WithContext(context.WithValue(r.Context(), formKey{}, form))
	return nil
}

func formOf(r *http.Request) wire.Form {
	form, _ := r.Context().Value(formKey{}).(wire.Form)
	return form
}

func (queryCodec) operation(r *http.Request) string {
	form := formOf(r)
	if form.Values == nil {
		return ""
	}
	return form.Action()
}

func (queryCodec) read(r *http.Request, input any) error { return decodeForm(formOf(r), input) }

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

// list returns the elements name.member.1, name.member.2, … up to the first that is not there.
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

func (queryCodec) write(w http.ResponseWriter, c wire.Caller, operation string, output any) {
	wire.WriteQuery(w, c, namespace, operation, output)
}

func (queryCodec) fault(w http.ResponseWriter, c wire.Caller, legacy string, f *fault.Error) {
	wire.WriteQueryError(w, c, namespace, legacy, f)
}
