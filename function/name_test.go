package function_test

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

var caller = function.Caller{Account: testAccount, Region: testRegion}

// F-15, F-27: the forms of a FunctionName parameter.
func TestFunctionNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, name, qualifier, code, message string }{
		{in: "f", name: "f"},
		{in: "f:$LATEST", name: "f", qualifier: "$LATEST"},
		{in: "f:prod", name: "f", qualifier: "prod"},
		{in: "function:f", name: "f"},
		{in: "123456789012:function:f", name: "f"},
		{in: "us-east-1:123456789012:function:f:7", name: "f", qualifier: "7"},
		{in: "arn:aws:lambda:us-east-1:123456789012:function:f", name: "f"},
		{in: "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST", name: "f", qualifier: "$LATEST"},
		{in: "arn:aws:lambda:us-east-1:123456789:function:f", name: "f"},
		{in: strings.Repeat("a", 64), name: strings.Repeat("a", 64)},
		{in: strings.Repeat("a", 65), code: "ValidationException"},
		{in: strings.Repeat("a", 300), code: "ValidationException", message: "2 validation errors detected"},
		{in: "", code: "ValidationException"},
		{
			in: "f g", code: "ValidationException",
			message: "Value 'f g' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:",
		},
		{in: "f:", code: "ValidationException"},
		{in: "f:$NEWEST", code: "ValidationException"},
		{in: "arn:aws:sqs:us-east-1:123456789012:function:f", code: "ValidationException"},
		{in: "arn:aws:lambda:us-east-1:acct:function:f", code: "ValidationException"},
		{in: "arn:aws:lambda:us-east-1:1234567890123:function:f", code: "AccessDeniedException"},
		{in: "arn:aws:lambda:us-east-1:210987654321:function:f", code: "AccessDeniedException"},
		{
			in: "arn:aws:lambda:eu-west-1:123456789012:function:f", code: "ResourceNotFoundException",
			message: "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
		},
	} {
		n, err := function.ParseName(c.in, caller)
		if c.code != "" {
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.message) {
				t.Errorf("%q: got %v, want %s", c.in, err, c.code)
			}
			continue
		}
		if err != nil || n.Ref != ref(c.name) || n.Qualifier != c.qualifier {
			t.Errorf("%q: got %+v, %v", c.in, n, err)
		}
		if folded := strings.Contains(c.in, ":123456789:"); folded != (n.Hint != "") {
			t.Errorf("%q: hint %q", c.in, n.Hint)
		}
	}
}

// Whatever the text, an accepted name belongs to the caller and is valid.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"f", "f:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:f:1", "1:function:f", "::::::",
		"arn:aws:lambda::::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := function.ParseName(s, caller)
		if err != nil {
			return
		}
		if n.Ref.Account != testAccount || n.Ref.Region != testRegion || n.Ref.Name == "" || len(n.Ref.Name) > 64 ||
			strings.ContainsAny(n.Ref.Name, "/: ") {
			t.Errorf("%q gives %+v", s, n)
		}
	})
}
