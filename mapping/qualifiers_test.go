package mapping

import "testing"

// S-17, §1.4: when FunctionName is f, f:$LATEST, f:1, f:live, then FunctionArn ends f, f:$LATEST, f:1, f:live. V11:
// each is a mapping of its own on the same stream.
func TestFunctionARNEchoesTheQualifier(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:"
	for name, ends := range map[string]string{
		"f": "f", "f:$LATEST": "f:$LATEST", "f:1": "f:1", arn + "f:live": "f:live",
		"000000000000:function:g:1": "g:1", arn + "g": "g",
	} {
		m := b.create(t, func(in *CreateInput) { in.FunctionName = &name })
		if m.FunctionARN != arn+ends || m.FunctionName != ends[:1] {
			t.Errorf("%s is %s of %s", name, m.FunctionARN, m.FunctionName)
		}
	}
}

// V9: the same stream and function with the same qualifier is 409, in any form, at create and at update; the text has
// the function's name.
func TestOneMappingPerStreamFunctionAndQualifier(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.create(t, func(in *CreateInput) { in.FunctionName = new("f:live") })
	other := b.create(t)
	b.settle(t)
	const code = "ResourceConflictException"
	text := `The event source arn (" ` + orders + ` ") and function (" f ") provided mapping already exists. ` +
		`Please update or delete the existing mapping with UUID ` + first.UUID
	for _, name := range []string{"f:live", "arn:aws:lambda:us-east-1:000000000000:function:f:live"} {
		_, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) { in.FunctionName = &name }))
		wantFault(t, err, code, text)
		_, _, err = b.Update(t.Context(), me, other.UUID, UpdateInput{Knobs{FunctionName: &name}})
		wantFault(t, err, code, text)
	}

	moved := b.update(t, other.UUID, Knobs{FunctionName: new("f:1")})

	if want := other.FunctionARN + ":1"; moved.FunctionARN != want || moved.FunctionName != "f" {
		t.Errorf("moved to %s of %s", moved.FunctionARN, moved.FunctionName)
	}
	b.create(t) // the unqualified pair is free again
}
