package sqs

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// params are the members of a request, by their exact names. null counts as absent. Members that the model does not
// have are ignored, as AWS does.
type params map[string]json.RawMessage

// parse reads a request body: one JSON object of valid UTF-8, or nothing at all, which counts as {}. What Go's decoder
// would silently replace (broken UTF-8, half a surrogate pair) is refused, because a message must not change on its
// way.
func parse(body []byte) (params, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return params{}, nil
	}
	if !jsontext.Faithful(body) {
		return nil, fault.New(fault.CodeSerialization, "The request body is not valid Unicode.")
	}
	var p params
	if err := json.Unmarshal(body, &p); err != nil || p == nil {
		return nil, fault.New(fault.CodeSerialization, "The request body is not a JSON object.")
	}
	for name, value := range p {
		if string(value) == "null" {
			delete(p, name)
		}
	}
	return p, nil
}

// decode reads one member; it stays as it is when absent.
func decode[T any](p params, name string, to *T) error {
	raw, ok := p[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fault.New(
			fault.CodeSerialization, "The value of %s does not have the type that the operation expects.", name,
		)
	}
	return nil
}

// text reads a string that must be there and not be empty.
func (p params) text(name string) (string, error) {
	var s string
	if err := decode(p, name, &s); err != nil {
		return "", err
	}
	if s == "" {
		return "", missing(name)
	}
	return s, nil
}

func missing(name string) error {
	return fault.New(queue.CodeMissingParameter, "The request must contain the parameter %s.", name)
}

// integer reads an optional 32-bit integer; nil: absent.
func (p params) integer(name string) (*int, error) {
	var v *int32
	if err := decode(p, name, &v); err != nil || v == nil {
		return nil, err
	}
	return new(int(*v)), nil
}

// seconds reads an optional number of seconds; nil: absent. Bounds are the queue's to check; any int32 fits a Duration.
func (p params) seconds(name string) (*time.Duration, error) {
	v, err := p.integer(name)
	if err != nil || v == nil {
		return nil, err
	}
	return new(time.Duration(*v) * time.Second), nil
}

// refuse refuses the first of members that is present: AWS has them, this room does not.
func (p params) refuse(members ...string) error {
	for _, name := range members {
		if _, ok := p[name]; ok {
			return unsupported("the parameter " + name)
		}
	}
	return nil
}

func unsupported(what string) error { return absent.Parameter(queue.CodeUnsupported, what) }

// number reads a queue attribute: digits only, no more than an int32 holds.
func number(s string) (int, bool) {
	v, err := strconv.ParseUint(s, 10, 31)
	return int(min(v, math.MaxInt32)), err == nil
}
