package wire

import (
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Absent refuses by name what AWS has and shardmill does not, in one spelling for every service. Its value is the name
// of the service's page in docs/compat, which lists what is refused.
type Absent string

// Operation refuses an operation, or a way of calling one. With status 501, SDKs do not try again.
func (a Absent) Operation(name string) *fault.Error {
	return &fault.Error{
		Code: fault.CodeNotImplemented, Status: http.StatusNotImplemented,
		Message: "shardmill does not implement " + string(a) + " " + name + " yet; see docs/compat/" + string(a) +
			".md.",
	}
}

// Parameter refuses a parameter, or a value of one, under the service's code for what it does not support.
func (a Absent) Parameter(code, what string) *fault.Error {
	return fault.New(code, "shardmill does not support %s yet; see docs/compat/%s.md.", what, string(a))
}

// Model lists a service's operations in AWS's model: those that are served here, by name, and the names of the others.
type Model[Op any] struct {
	Absent Absent
	Served map[string]Op
	Others string // separated by white space. They are rarely looked for, so that no map of them takes memory
}

// Find returns the operation with a name, or why there is none: AWS has it and shardmill does not, or no model has it.
// unknown makes the fault of the latter.
func (m *Model[Op]) Find(name string, unknown func(name string) *fault.Error) (op Op, refused *fault.Error) {
	op, served := m.Served[name]
	switch {
	case served:
		return op, nil
	case m.lacks(name):
		return op, m.Absent.Operation(name)
	}
	return op, unknown(name)
}

func (m *Model[Op]) lacks(name string) bool {
	for other := range strings.FieldsSeq(m.Others) {
		if other == name {
			return true
		}
	}
	return false
}
