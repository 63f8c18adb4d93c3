package expr

// KeyPart is one condition of a key condition expression.
type KeyPart struct {
	Attribute string
	Operator  string // = < <= > >= BETWEEN begins_with
	Values    []Value
}

func badOperator(operator string) error {
	return invalid("Invalid operator used in KeyConditionExpression: %s", operator)
}

// keyParts reads a condition as one or two conditions on different attributes.
func keyParts(c Condition) ([]KeyPart, error) {
	if and, ok := c.(And); ok {
		left, err := keyParts(and.Left)
		if err != nil {
			return nil, err
		}
		right, err := keyParts(and.Right)
		if err != nil {
			return nil, err
		}
		parts := append(left, right...)
		for i, p := range parts {
			for _, q := range parts[:i] {
				if p.Attribute == q.Attribute {
					return nil, invalid("KeyConditionExpressions must only contain one condition per key")
				}
			}
		}
		return parts, nil
	}
	part, err := keyPart(c)
	return []KeyPart{part}, err
}

func keyPart(c Condition) (KeyPart, error) {
	switch c := c.(type) {
	case Compare:
		if c.Operator == "<>" {
			return KeyPart{}, badOperator("<>")
		}
		if _, ok := c.Left.(Path); !ok { // the attribute may be on the right
			return keyOperands(mirrored[c.Operator], c.Right, c.Left)
		}
		return keyOperands(c.Operator, c.Left, c.Right)
	case Between:
		return keyOperands("BETWEEN", c.Of, c.Low, c.High)
	case BeginsWith:
		if _, ok := c.Of.(Path); !ok {
			return KeyPart{}, invalid(
				"Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
			)
		}
		return keyOperands("begins_with", c.Of, c.Prefix)
	case Or:
		return KeyPart{}, badOperator("OR")
	case Not:
		return KeyPart{}, badOperator("NOT")
	case In:
		return KeyPart{}, badOperator("IN")
	case Contains:
		return KeyPart{}, badOperator("contains")
	case IsType:
		return KeyPart{}, badOperator("attribute_type")
	case Exists:
		if c.Absent {
			return KeyPart{}, badOperator("attribute_not_exists")
		}
		return KeyPart{}, badOperator("attribute_exists")
	case And:
	}
	return KeyPart{}, badOperator("AND")
}

// mirrored maps a comparator to the one for exchanged operands.
var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// keyOperands returns a condition that compares the attribute of with literals.
func keyOperands(operator string, of Operand, with ...Operand) (KeyPart, error) {
	for _, o := range append([]Operand{of}, with...) {
		if _, ok := o.(SizeOf); ok {
			return KeyPart{}, invalid("KeyConditionExpressions cannot contain nested operations")
		}
	}
	path, ok := of.(Path)
	if !ok {
		return KeyPart{}, invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	if len(path) > 1 {
		return KeyPart{}, invalid("KeyConditionExpressions cannot have conditions on nested attributes")
	}
	part := KeyPart{Attribute: path[0].Name, Operator: operator}
	for _, o := range with {
		l, ok := o.(Literal)
		if !ok {
			return KeyPart{}, invalid(
				"Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
			)
		}
		part.Values = append(part.Values, l.Value)
	}
	return part, nil
}
