// Package expr implements DynamoDB's expression language: attribute values, and the condition, update, projection and
// key condition expressions over them.
//
// In come the texts of a request with its #names and :values; out go trees that are evaluated against items. Everything
// here is pure: no I/O, no clock. Refusals are ValidationException faults in AWS's words. The language is described in
// the DynamoDB Developer Guide, "Using expressions in DynamoDB".
package expr

import (
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// CodeValidation is the code of every refusal of this package.
const CodeValidation = "ValidationException"

// MaxBytes is the longest expression. Source: DynamoDB Developer Guide, Quotas, expression parameters.
const MaxBytes = 4 << 10

// invalid returns a refusal.
func invalid(format string, args ...any) error { return fault.New(CodeValidation, format, args...) }

// A Scope holds the #names and :values of one request and records which of them its expressions use. It is not safe for
// concurrent use.
type Scope struct {
	names  map[string]string
	values map[string]Value
	used   map[string]bool
}

// NewScope returns a Scope over names (with their #) and values (with their :). The maps are not copied and must not
// change.
func NewScope(names map[string]string, values map[string]Value) *Scope {
	return &Scope{names: names, values: values, used: make(map[string]bool)}
}

// Unused returns the refusal of names or values that no expression used; nil if all were used.
func (s *Scope) Unused() error {
	if missing := s.missing(slices.Sorted(maps.Keys(s.names))); missing != "" {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", missing)
	}
	if missing := s.missing(slices.Sorted(maps.Keys(s.values))); missing != "" {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", missing)
	}
	return nil
}

func (s *Scope) missing(keys []string) string {
	return strings.Join(slices.DeleteFunc(keys, func(k string) bool { return s.used[k] }), ", ")
}

// Condition parses a condition or filter expression. parameter is its name in a refusal, for example
// ConditionExpression.
func (s *Scope) Condition(parameter, text string) (Condition, error) {
	p, err := s.parser(parameter, text)
	if err != nil {
		return nil, err
	}
	c := p.wholeCondition()
	return c, p.err()
}

// Update parses an update expression.
func (s *Scope) Update(text string) (*Update, error) {
	p, err := s.parser("UpdateExpression", text)
	if err != nil {
		return nil, err
	}
	u := p.wholeUpdate()
	return u, p.err()
}

// Projection parses a projection expression.
func (s *Scope) Projection(text string) (Projection, error) {
	p, err := s.parser("ProjectionExpression", text)
	if err != nil {
		return nil, err
	}
	paths := p.wholeProjection()
	return paths, p.err()
}

// KeyCondition parses a key condition expression: one or two conditions, each on one attribute.
func (s *Scope) KeyCondition(text string) ([]KeyPart, error) {
	c, err := s.Condition("KeyConditionExpression", text)
	if err != nil {
		return nil, err
	}
	return keyParts(c)
}

func (s *Scope) parser(parameter, text string) (*parser, error) {
	if text == "" {
		return nil, invalid("Invalid %s: The expression can not be empty;", parameter)
	}
	if len(text) > MaxBytes {
		return nil, invalid(
			"Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", parameter,
			len(text),
		)
	}
	return &parser{scope: s, parameter: parameter, text: text, tokens: lex(text)}, nil
}
