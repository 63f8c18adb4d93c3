package policy

import (
	"strings"
	"testing"
)

const (
	owner  = "111111111111"
	friend = "222222222222"
	orders = "arn:aws:kinesis:us-east-1:111111111111:stream/orders"
)

func put(c Caller) Request { return Request{Caller: c, Action: "kinesis:PutRecord", Resource: orders} }

func statementOf(members string) string {
	return `{"Version":"2012-10-17","Statement":[{` + members + `}]}`
}

// meaning returns a statement that allows everything, to those that the last members name.
func meaning(members string) string {
	return statementOf(`"Effect":"Allow","Action":"*","Resource":"*",` + members)
}

// Source: IAM User Guide, "IAM JSON policy elements reference" and "Policy evaluation logic".
func TestAPolicyDecides(t *testing.T) {
	t.Parallel()
	const resource = `,"Resource":"` + orders + `"`
	role := Caller{Account: friend, Role: "arn:aws:iam::222222222222:role/reader"}
	for name, c := range map[string]struct {
		document string
		request  Request
		want     Decision
	}{
		"an account is meant by its number": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kinesis:PutRecord"` + resource),
			put(Caller{Account: friend}), Allowed,
		},
		"and by its root": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root"]},"Action":["kinesis:PutRecord"]` + resource),
			put(role), Allowed,
		},
		"another account is not": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kinesis:PutRecord"` + resource),
			put(Caller{Account: "333333333333"}), Silent,
		},
		"a role is meant alone": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/reader"},"Action":"*"` + resource),
			put(role), Allowed,
		},
		"without the rest of its account": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/reader"},"Action":"*"` + resource),
			put(Caller{Account: friend}), Silent,
		},
		"a session of a role is that role, whatever its path": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/apps/reader"},"Action":"*"` + resource),
			put(Caller{Account: friend, Role: "arn:aws:sts::222222222222:assumed-role/reader/f"}), Allowed,
		},
		"a session of another role is not": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/read"},"Action":"*"` + resource),
			put(Caller{Account: friend, Role: "arn:aws:sts::222222222222:assumed-role/reader/f"}), Silent,
		},
		"nor that of another account's role": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:role/reader"},"Action":"*"` + resource),
			put(Caller{Account: friend, Role: "arn:aws:sts::222222222222:assumed-role/reader/f"}), Silent,
		},
		"everybody": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"kinesis:Put*"` + resource),
			put(Caller{Account: friend}), Allowed,
		},
		"everybody in the long form": {
			statementOf(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"KINESIS:putrecor?"` + resource),
			put(Caller{Account: friend}), Allowed,
		},
		"a service is no account": {
			statementOf(`"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},"Action":"*"` + resource),
			put(Caller{Account: friend}), Silent,
		},
		"another action": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"kinesis:GetRecords"` + resource),
			put(Caller{Account: friend}), Silent,
		},
		"all but an action": {
			statementOf(`"Effect":"Allow","Principal":"*","NotAction":"kinesis:GetRecords"` + resource),
			put(Caller{Account: friend}), Allowed,
		},
		"all but this action": {
			statementOf(`"Effect":"Allow","Principal":"*","NotAction":"kinesis:Put*"` + resource),
			put(Caller{Account: friend}), Silent,
		},
		"another resource": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"` + orders + `2"`),
			put(Caller{Account: friend}), Silent,
		},
		"resources by pattern": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:*:111111111111:*"`),
			put(Caller{Account: friend}), Allowed,
		},
		"all but this resource": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"*","NotResource":"*/orders"`),
			put(Caller{Account: friend}), Silent,
		},
		"a denial wins, wherever it stands": {
			`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"kinesis:Put*","Resource":"*"},
				{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
			put(Caller{Account: friend}), Denied,
		},
		"one statement without a list": {
			`{"Version":"2008-10-17","Id":"x","Statement":{"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
			put(Caller{Account: friend}), Allowed,
		},
		"what is not evaluated allows nothing": {
			statementOf(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}`),
			put(Caller{Account: friend}), Silent,
		},
		"and denies": {
			statementOf(`"Effect":"Deny","NotPrincipal":{"AWS":"222222222222"},"Action":"*","Resource":"*"`),
			put(Caller{Account: friend}), Denied,
		},
	} {
		d, err := Parse(c.document)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.Decide(c.request); got != c.want {
			t.Errorf("%s: the decision is %d, want %d", name, got, c.want)
		}
	}
	if got := (*Document)(nil).Decide(put(Caller{Account: owner})); got != Silent {
		t.Errorf("no policy: the decision is %d", got)
	}
}

// The owner may do what is not denied, another account what is allowed; what is the owner's alone cannot be opened.
func TestTheOwnerNeedsNoPolicyAndOthersDo(t *testing.T) {
	t.Parallel()
	open := meaning(`"Principal":"*"`)
	shut := `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},` +
		`{"Effect":"Deny","Principal":"*","Action":"kinesis:PutRecord","Resource":"*"}]}`
	const no = " is not authorized to perform: kinesis:PutRecord on resource: " + orders
	const silent = no + " because no resource-based policy allows the kinesis:PutRecord action"
	const another, user = "arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:user/x"
	const denied = no + " with an explicit deny in a resource-based policy"
	for name, c := range map[string]struct {
		document string
		caller   Caller
		alone    bool
		want     string // without User: and the code
	}{
		"the owner without a policy":         {"", Caller{Account: owner}, false, ""},
		"another without a policy":           {"", Caller{Account: friend}, false, another + silent},
		"another who is allowed":             {open, Caller{Account: friend}, false, ""},
		"another, what is the owner's alone": {open, Caller{Account: friend}, true, another + silent},
		"the owner, what is the owner's":     {open, Caller{Account: owner}, true, ""},
		"the owner, denied":                  {shut, Caller{Account: owner, Role: user}, true, user + denied},
		"another, denied too":                {shut, Caller{Account: friend}, false, another + denied},
	} {
		var d *Document
		if c.document != "" {
			d, _ = Parse(c.document)
		}
		got := ""
		if refusal := d.Judge(put(c.caller), owner, c.alone); refusal != nil {
			got = strings.TrimPrefix(refusal.Fault("Code").Error(), "Code: User: ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAPolicyThatIsPutMustHaveAnEffect(t *testing.T) {
	t.Parallel()
	every := Rules{Service: "kinesis", Name: "Kinesis", Code: "Invalid", Most: 300}
	some := every
	some.Shared = map[string]bool{"PutRecord": true}
	act := func(effect, action string) string {
		return statementOf(`"Effect":"` + effect + `","Principal":"*","Resource":"*","Action":"` + action + `"`)
	}
	for _, c := range []struct {
		rules    *Rules
		document string
		want     string // "": it may be put
	}{
		{&some, act("Allow", "kinesis:PutRecord"), ""},
		{&some, act("Allow", "Kinesis:Put*"), ""},
		{&some, act("Allow", "*"), ""},
		{&some, act("Allow", "kinesis:DeleteStream"), "kinesis:deletestream cannot be shared"},
		{&some, act("Allow", "sqs:*"), "sqs:* cannot be shared"},
		{&every, act("Allow", "kinesis:DeleteStream"), ""},
		{&every, act("Allow", "*"), ""},
		{&every, act("Allow", "sqs:SendMessage"), "sqs:sendmessage cannot be shared"},
		{&some, act("Deny", "kinesis:DeleteStream"), ""},
		{&some, act("Deny", "sqs:SendMessage"), "sqs:sendmessage is no action of Kinesis"},
		{&some, act("Allow", "*") + strings.Repeat(" ", 300), "a resource policy has at most 300"},
		{&some, "{", "The policy is not valid: the policy is not JSON."},
		{&some, meaning(`"Principal":"*","Condition":{"Null":{"x:y":"true"}}`), "Condition"},
	} {
		d, err := c.rules.Check(c.document)
		if (d == nil) == (err == nil) || (err == nil) != (c.want == "") ||
			err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.document, err, c.want)
		}
	}
}

func TestAPolicyThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ document, want string }{
		{"", "the policy is not JSON"},
		{`{"Statement":[{"Effect":"Allow","Principal":"\ud83d","Action":"*","Resource":"*"}]}`, "not JSON"},
		{`[]`, "the policy is not an object"},
		{`{}`, "has no Statement"},
		{`{"Statement":[]}`, "has no Statement"},
		{`{"Statement":[[]]}`, "statement 1 of the policy cannot be read: it is not an object"},
		{`{"Statements":[]}`, `the element "Statements", which is unknown`},
		{`{"Statement":[],"Statement":[]}`, "the element Statement twice"},
		{`{"Version":"2012-10-18","Statement":[{}]}`, "Version"},
		{`{"Id":1,"Statement":[{}]}`, "Id"},
		{statementOf(``), "Effect"},
		{statementOf(`"Effect":"allow"`), "neither Allow nor Deny"},
		{statementOf(`"Effect":"Allow","Sid":7`), "a Sid that is not a text"},
		{statementOf(`"Effect":"Allow"`), "either Action or NotAction"},
		{statementOf(`"Effect":"Allow","Action":"*","NotAction":"*"`), "either Action or NotAction"},
		{statementOf(`"Effect":"Allow","Action":"PutRecord"`), `"PutRecord", which has no service`},
		{statementOf(`"Effect":"Allow","Action":[]`), "Action that is not a text"},
		{statementOf(`"Effect":"Allow","Action":[null]`), "Action that is not a text"},
		{statementOf(`"Effect":"Allow","Action":"*"`), "either Resource or NotResource"},
		{statementOf(`"Effect":"Allow","Action":"*","Resource":"*"`), "either Principal or NotPrincipal"},
		{meaning(`"Principal":"me"`), `"me", which is neither *`},
		{meaning(`"Principal":{"AWS":"12"}`), `"12", which is no account`},
		{meaning(`"Principal":{"Aws":"*"}`), `"Aws", which is unknown`},
		{meaning(`"Principal":{}`), "no principal"},
		{meaning(`"NotPrincipal":{"AWS":"x"}`), `"x", which is no account`},
		{meaning(`"Principal":"*","effect":"Deny"`), `"effect", which is unknown`},
	} {
		d, err := Parse(c.document)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want an error about %s", c.document, d, err, c.want)
		}
	}
}

func TestUnknownNamesWhatIsNotEvaluated(t *testing.T) {
	t.Parallel()
	d, err := Parse(`{"Statement":[
		{"Effect":"Deny","NotPrincipal":"*","Action":"kinesis:A","Resource":"a/${aws:username}"},
		{"Effect":"Allow","Principal":{"Federated":"x"},"Action":"kinesis:B","Resource":"*","Condition":{"Null":{"a":"true"}}},
		{"Effect":"Allow","Principal":"*","Action":"kinesis:C","Resource":"*","Condition":{}}]}`)
	if err != nil {
		t.Fatal(err)
	}

	if got := strings.Join(d.Unknown(), "; "); got !=
		"policy variables in Resource; NotPrincipal; Condition; principals of the kind Federated" {
		t.Errorf("unknown: %s", got)
	}
	if got := strings.Join(d.Actions(false), " "); got != "kinesis:b kinesis:c" {
		t.Errorf("actions that are allowed: %s", got)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "abc", true},
		{"a*c", "abbc", true},
		{"a*c", "abcb", false},
		{"*ab", "aab", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a*b*c", "a-b-b-c", true},
		{"abc", "abcd", false},
		{"abc*", "abc", true},
	} {
		if got := Match(c.pattern, c.text); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

// Whatever is sent, a document is read or refused; one that was read decides, and denies nobody unless it says Deny.
func FuzzParse(f *testing.F) {
	f.Add(statementOf(`"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kinesis:*","Resource":"*"`))
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":"*","NotAction":["a:b"],"NotResource":["?"],"Condition":{}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if (d == nil) == (err == nil) {
			t.Fatalf("%v, %v", d, err)
		}
		if d.Decide(put(Caller{Account: friend})) == Denied && !strings.Contains(text, "Deny") &&
			!strings.Contains(text, `\u`) {
			t.Errorf("%q denies", text)
		}
	})
}
