package expr

// LegacyCondition is a condition on one attribute in the words of the parameters that expressions have replaced:
// Expected, KeyConditions, QueryFilter and ScanFilter. Source: DynamoDB Developer Guide, "Legacy conditional
// parameters".
type LegacyCondition struct {
	Attribute string // a whole attribute: dots and brackets have no meaning
	Operator  string // one of LegacyOperators
	Values    []Value
}

// LegacyOperators are the operators of a LegacyCondition, in the order in which AWS lists them.
var LegacyOperators = []string{
	"IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE", "CONTAINS",
}

// comparatorOf maps legacy operators to those of expressions.
var comparatorOf = map[string]string{"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}

func invalidValue(format string, args ...any) error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

// check refuses operands that do not go with the operator.
func (c LegacyCondition) check() error {
	n, right := len(c.Values), false
	switch c.Operator {
	case "NULL", "NOT_NULL":
		right = n == 0
	case "IN":
		right = n > 0
	case "BETWEEN":
		right = n == 2
	default:
		right = n == 1
	}
	if !right {
		return invalidValue("Invalid number of argument(s) for the %s ComparisonOperator", c.Operator)
	}
	for _, v := range c.Values {
		switch {
		case v.Kind != c.Values[0].Kind:
			return invalidValue("AttributeValues inside AttributeValueList must be of same type")
		case !c.takes(v.Kind):
			return invalidValue("ComparisonOperator %s is not valid for %s AttributeValue type", c.Operator, v.Kind)
		}
	}
	if c.Operator == "BETWEEN" && c.Values[0].compareScalar(c.Values[1]) > 0 {
		return invalid("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")
	}
	return nil
}

// takes reports whether values of a kind can be compared by the operator.
func (c LegacyCondition) takes(k Kind) bool {
	switch c.Operator {
	case "EQ", "NE":
		return true
	case "BEGINS_WITH":
		return k == S || k == B
	}
	return k.Ordered()
}

// condition returns the condition as an expression would say it.
func (c LegacyCondition) condition() Condition {
	path := Path{{Name: c.Attribute}}
	operands := make([]Operand, len(c.Values))
	for i, v := range c.Values {
		operands[i] = Literal{Value: v}
	}
	switch c.Operator {
	case "NULL":
		return Exists{Path: path, Absent: true}
	case "NOT_NULL":
		return Exists{Path: path}
	case "CONTAINS":
		return Contains{path, operands[0]}
	case "NOT_CONTAINS":
		return Not{Contains{path, operands[0]}}
	case "BEGINS_WITH":
		return BeginsWith{path, operands[0]}
	case "IN":
		return In{path, operands}
	case "BETWEEN":
		return Between{path, operands[0], operands[1]}
	}
	return Compare{comparatorOf[c.Operator], path, operands[0]}
}

// LegacyConditions returns one condition that holds if all of conditions hold or, with anyOf, if one of them does. It
// returns nil for none.
func LegacyConditions(conditions []LegacyCondition, anyOf bool) (Condition, error) {
	trees := make([]Condition, len(conditions))
	for i, c := range conditions {
		if err := c.check(); err != nil {
			return nil, err
		}
		trees[i] = c.condition()
	}
	return joined(trees, anyOf), nil
}

// joined returns conditions as a balanced tree, so that many of them do not make it deep.
func joined(conditions []Condition, anyOf bool) Condition {
	switch n := len(conditions); {
	case n == 0:
		return nil
	case n == 1:
		return conditions[0]
	case anyOf:
		return Or{joined(conditions[:n/2], true), joined(conditions[n/2:], true)}
	default:
		return And{joined(conditions[:n/2], false), joined(conditions[n/2:], false)}
	}
}

// LegacyKey returns the key condition that KeyConditions says.
func LegacyKey(conditions []LegacyCondition) ([]KeyPart, error) {
	if len(conditions) != 1 && len(conditions) != 2 {
		return nil, invalid("Conditions can be of length 1 or 2 only")
	}
	parts := make([]KeyPart, len(conditions))
	for i, c := range conditions {
		if err := c.check(); err != nil {
			return nil, err
		}
		parts[i] = KeyPart{Attribute: c.Attribute, Operator: comparatorOf[c.Operator], Values: c.Values}
		switch c.Operator {
		case "BETWEEN":
			parts[i].Operator = "BETWEEN"
		case "BEGINS_WITH":
			parts[i].Operator = "begins_with"
		case "EQ", "LT", "LE", "GT", "GE":
		default:
			return nil, invalid("Attempted conditional constraint is not an indexable operation")
		}
	}
	return parts, nil
}

// LegacyAction is what AttributeUpdates does to one attribute. Source: DynamoDB Developer Guide, "AttributeUpdates
// (legacy)".
type LegacyAction struct {
	Attribute string // a whole attribute, as of a LegacyCondition
	Action    string // PUT, ADD or DELETE
	Value     *Value // nil, with DELETE: the whole attribute goes
}

// check refuses values that do not go with the action.
func (a LegacyAction) check() error {
	switch {
	case a.Value == nil && a.Action != "DELETE":
		return invalidValue("Only DELETE action is allowed when no attribute value is specified")
	case a.Value == nil || a.Action == "PUT" || a.Value.Kind.Set():
		return nil
	case a.Action == "DELETE":
		return invalidValue("DELETE action with value is not supported for the type %s", a.Value.Kind)
	case a.Value.Kind != N && a.Value.Kind != L:
		return invalidValue("ADD action is not supported for the type %s", a.Value.Kind)
	}
	return nil
}

// LegacyUpdate returns the update that AttributeUpdates says; nil for no actions. Each attribute occurs once.
func LegacyUpdate(actions []LegacyAction) (*Update, error) {
	if len(actions) == 0 {
		return nil, nil
	}
	u := &Update{}
	for _, a := range actions {
		if err := a.check(); err != nil {
			return nil, err
		}
		path := Path{{Name: a.Attribute}}
		u.paths = append(u.paths, path)
		switch {
		case a.Action == "PUT":
			u.Sets = append(u.Sets, SetAction{path, Literal{Value: *a.Value}})
		case a.Value == nil:
			u.Removes = append(u.Removes, path)
		default:
			u.Adds = append(u.Adds, AddAction{path, Literal{Value: *a.Value}, a.Action == "DELETE", true})
		}
	}
	return u, nil
}

// LegacyProjection returns the projection that AttributesToGet says.
func LegacyProjection(names []string) (Projection, error) {
	var out Projection
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return nil, invalidValue("Duplicate value in attribute name: %s", clip(name))
		}
		seen[name] = true
		out = append(out, Path{{Name: name}})
	}
	return out, nil
}
