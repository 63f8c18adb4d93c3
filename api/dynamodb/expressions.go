package dynamodb

import (
	"errors"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
)

// expressions are the expression parameters of a request, parsed.
type expressions struct {
	condition  expr.Condition
	filter     expr.Condition
	update     *expr.Update
	projection expr.Projection
	key        []expr.KeyPart
}

var tokenPattern = wire.Pattern(`^.[a-zA-Z0-9_]+$`)

// expressions reads the parameters of an operation that takes names, with their names and values, and records their
// first error.
func (in *input) expressions(takes ...string) (x expressions) {
	texts := map[string]string{}
	withValues := []string{}
	for _, parameter := range takes {
		if in.has(parameter) {
			texts[parameter] = in.text(parameter)
		}
		if parameter != "ProjectionExpression" {
			withValues = append(withValues, parameter)
		}
	}
	scope, err := in.scope(len(texts) > 0, withValues, texts)
	if err != nil {
		in.fail(err)
		return x
	}
	for _, parameter := range takes {
		text, given := texts[parameter]
		if !given {
			continue
		}
		switch parameter {
		case "ConditionExpression":
			x.condition, err = scope.Condition(parameter, text)
		case "FilterExpression":
			x.filter, err = scope.Condition(parameter, text)
		case "UpdateExpression":
			x.update, err = scope.Update(text)
		case "ProjectionExpression":
			x.projection, err = scope.Projection(text)
		case "KeyConditionExpression":
			x.key, err = scope.KeyCondition(text)
		}
		if err != nil {
			in.fail(err)
			return x
		}
	}
	if err := scope.Unused(); err != nil {
		in.fail(err)
	}
	return x
}

// scope reads ExpressionAttributeNames and ExpressionAttributeValues.
func (in *input) scope(given bool, withValues []string, texts map[string]string) (*expr.Scope, error) {
	names, err := in.names(given)
	if err != nil {
		return nil, err
	}
	values, err := in.values(withValues, texts)
	return expr.NewScope(names, values), err
}

func (in *input) names(given bool) (map[string]string, error) {
	raw, ok := member[map[string]any](in, "ExpressionAttributeNames", "map")
	if !ok {
		return nil, nil
	}
	if !given {
		return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if len(raw) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	names := make(map[string]string, len(raw))
	for _, k := range (&input{members: raw}).sortedMembers() {
		v, ok := raw[k].(string)
		switch {
		case !ok:
			return nil, serialization("%s", mismatch(raw[k], "String"))
		case !strings.HasPrefix(k, "#") || !tokenPattern.MatchString(k):
			return nil, invalid(`ExpressionAttributeNames contains invalid key: Syntax error; key: "%s"`, clip(k))
		case v == "" || len(v) > maxNameBytes:
			return nil, invalid("ExpressionAttributeNames contains invalid value: for key %s", k)
		}
		names[k] = v
	}
	return names, nil
}

func (in *input) values(withValues []string, texts map[string]string) (map[string]expr.Value, error) {
	raw, ok := member[map[string]any](in, "ExpressionAttributeValues", "map")
	if !ok {
		return nil, nil
	}
	used := false
	for _, parameter := range withValues {
		_, given := texts[parameter]
		used = used || given
	}
	switch {
	case !used && len(withValues) > 1:
		return nil, invalid(
			"ExpressionAttributeValues can only be specified when using expressions: %s are null",
			strings.Join(withValues, " and "),
		)
	case !used:
		return nil, invalid(
			"ExpressionAttributeValues can only be specified when using expressions: %s is null",
			strings.Join(withValues, ""),
		)
	case len(raw) == 0:
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	values := make(map[string]expr.Value, len(raw))
	for _, k := range (&input{members: raw}).sortedMembers() {
		if !strings.HasPrefix(k, ":") || !tokenPattern.MatchString(k) {
			return nil, invalid(`ExpressionAttributeValues contains invalid key: Syntax error; key: "%s"`, clip(k))
		}
		v, err := decodeValue(raw[k], table.MaxDepth)
		if err != nil {
			return nil, valueFault(k, err)
		}
		values[k] = v
	}
	return values, nil
}

// valueFault says which of the values is wrong.
func valueFault(key string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != table.CodeValidation {
		return err
	}
	return invalid("ExpressionAttributeValues contains invalid value: %s for key %s", f.Message, key)
}
