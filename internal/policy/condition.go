package policy

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/internal/arn"
)

// condition is one key of a Condition: it holds if the request's value is one of those it names, or none of them where
// the operator is negated.
type condition struct {
	key      string // in lower case
	values   []string
	match    func(pattern, value string) bool
	negated  bool
	ifExists bool // it holds where the request has no such value
}

// keys are what conditions can ask of a request; "" is no value. Source: IAM User Guide, "AWS global condition context
// keys".
var keys = map[string]func(r *Request) string{
	"aws:principalaccount": func(r *Request) string { return r.Caller.Account },
	"aws:principalarn": func(r *Request) string {
		if r.Caller.Service != "" {
			return ""
		}
		a, _ := arn.Parse(r.Resource)
		return roleOf(r.Caller.arn(a.Partition))
	},
	"aws:sourceaccount": func(r *Request) string {
		a, _ := arn.Parse(r.Source)
		return a.Account
	},
	"aws:sourcearn": func(r *Request) string { return r.Source },
}

// roleOf returns the ARN of the role of a session, and any other ARN as it is: conditions see roles.
func roleOf(text string) string {
	a, _ := arn.Parse(text)
	name, assumed := strings.CutPrefix(a.Resource, "assumed-role/")
	if !assumed {
		return text
	}
	name, _, _ = strings.Cut(name, "/")
	a.Service, a.Resource = "iam", "role/"+name
	return a.String()
}

// operators are those of texts and ARNs, by their names in lower case, without Not and IfExists. Source: IAM User
// Guide, "IAM JSON policy elements: Condition operators".
var operators = map[string]func(pattern, value string) bool{
	"stringequals":           func(pattern, value string) bool { return pattern == value },
	"stringequalsignorecase": strings.EqualFold,
	"stringlike":             Match,
	"arnequals":              matchARN,
	"arnlike":                matchARN,
}

// matchARN matches each of the six parts of an ARN by itself.
func matchARN(pattern, value string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(p) != len(v) {
		return false
	}
	for i := range p {
		if !Match(p[i], v[i]) {
			return false
		}
	}
	return true
}

// readCondition reads a Condition. ok is false if it has anything that is not evaluated.
func readCondition(raw json.RawMessage) (all []condition, ok bool) {
	var by map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &by) != nil || by == nil {
		return nil, false
	}
	for operator, asked := range by {
		name, ifExists := strings.CutSuffix(strings.ToLower(operator), "ifexists")
		var negated bool
		for _, kind := range []string{"string", "arn"} {
			if rest, not := strings.CutPrefix(name, kind+"not"); not {
				name, negated = kind+rest, true
			}
		}
		match := operators[name]
		for key, value := range asked {
			key = strings.ToLower(key)
			values, err := texts(value)
			if match == nil || keys[key] == nil || err != nil ||
				slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "${") }) {
				return nil, false
			}
			all = append(all, condition{key, values, match, negated, ifExists})
		}
	}
	return all, true
}

// holds reports whether a condition holds for a request. A value that is not there is none of those named.
func (c *condition) holds(r *Request) bool {
	value := keys[c.key](r)
	if value == "" {
		return c.negated || c.ifExists
	}
	return slices.ContainsFunc(c.values, func(v string) bool { return c.match(v, value) }) != c.negated
}
