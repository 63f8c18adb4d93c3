package policy

import (
	"slices"
	"strings"
	"testing"
)

// Who is meant by a principal, and by which name conditions and refusals know a caller. Source: IAM User Guide, "AWS
// JSON policy elements: Principal" and "aws:PrincipalArn".
func TestCallersByTheirNames(t *testing.T) {
	t.Parallel()
	const session = "arn:aws:sts::222222222222:assumed-role/reader/f"
	sns, reader := Caller{Service: "sns.amazonaws.com"}, Caller{Account: friend, Role: session}
	decides := func(principal, condition string, r Request) Decision {
		t.Helper()
		d, err := Parse(statementOf(
			`"Effect":"Allow","Action":"*","Resource":"*","Principal":` + principal + `,"Condition":` + condition,
		))
		if err != nil || d.Unknown() != nil {
			t.Fatalf("%s %s: %v, not evaluated: %v", principal, condition, err, d.Unknown())
		}
		return d.Decide(r)
	}
	inChina := put(Caller{Account: friend})
	inChina.Resource = "arn:aws-cn:kinesis:cn-north-1:111111111111:stream/orders"
	for _, c := range []struct {
		principal, condition string
		request              Request
		want                 Decision
	}{
		{`"*"`, `{}`, put(sns), Allowed}, // everybody is also every service
		{`{"AWS":"*"}`, `{}`, put(sns), Allowed},
		{`{"AWS":"arn:aws:iam::222222222222:user/reader"}`, `{}`, put(reader), Silent}, // only named as the role
		{`{"AWS":"arn:aws:sts::222222222222:assumed-role/READER/f"}`, `{}`, put(reader), Silent},
		{`"*"`, `{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::222222222222:role/reader"}}`, put(reader), Allowed},
		{`"*"`, `{"StringEquals":{"aws:PrincipalArn":"` + session + `"}}`, put(reader), Silent},
		{`"*"`, `{"StringEquals":{"aws:PrincipalArn":"arn:aws-cn:iam::222222222222:root"}}`, inChina, Allowed},
		{`"*"`, `{"StringLike":{"aws:PrincipalArn":"*"}}`, put(sns), Silent},                   // a service has none
		{`"*"`, `{"StringEquals":{"aws:SourceAccount":"` + owner + `"}}`, put(reader), Silent}, // nor has that
	} {
		if got := decides(c.principal, c.condition, c.request); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.principal, c.condition, got, c.want)
		}
	}
	refusal := (*Document)(nil).Judge(put(sns), owner, false)
	if text := refusal.Fault("Code").Error(); !strings.Contains(text, "User: sns.amazonaws.com is not authorized") {
		t.Errorf("a service is refused with %s", text)
	}
}

// A policy is public if everybody is allowed something without a condition; a denial opens nothing.
func TestWhatIsPublic(t *testing.T) {
	t.Parallel()
	const about = `"Principal":"*","Action":"*","Resource":"*"`
	for members, want := range map[string]bool{
		`"Effect":"Allow",` + about: true,
		`"Effect":"Deny",` + about:  false,
		`"Effect":"Allow","Condition":{"StringEquals":{"aws:PrincipalAccount":"222222222222"}},` + about: false,
		`"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"*","Resource":"*"`:                false,
		`"Effect":"Allow","NotPrincipal":{"AWS":"222222222222"},"Action":"*","Resource":"*"`:             false,
	} {
		d, err := Parse(statementOf(members))
		if err != nil || d.Public() != want {
			t.Errorf("%s: public %t, %v", members, d.Public(), err)
		}
	}
	if (*Document)(nil).Public() {
		t.Error("no policy is public")
	}
}

// Rules look at each action, to the last byte that a policy may have; what a statement leaves out opens nothing.
func TestRulesLookAtAllOfAPolicy(t *testing.T) {
	t.Parallel()
	rules := Rules{Service: "kinesis", Name: "Kinesis", Code: "Invalid", Shared: map[string]bool{"PutRecord": true}}
	check := func(text string, most int) error {
		rules.Most = most
		_, err := rules.Check(text)
		return err
	}
	good := meaning(`"Principal":"*"`)
	if err := check(good, len(good)); err != nil {
		t.Errorf("a policy of as many bytes as it may have: %v", err)
	}
	if check(good, len(good)-1) == nil {
		t.Error("a policy of one byte too many")
	}
	if err := check(statementOf(
		`"Effect":"Allow","Principal":"*","NotAction":"kinesis:DeleteStream","Resource":"*"`), 1000); err != nil {
		t.Errorf("an action that is left out: %v", err)
	}
	for _, action := range []string{"kinesis:PutRecord", "kinesis:DeleteStream"} {
		err := check(statementOf(
			`"Effect":"Allow","Principal":"*","Action":["kinesis:PutRecord","`+action+`"],"Resource":"*"`), 1000)
		if (err == nil) != (action == "kinesis:PutRecord") {
			t.Errorf("%s beside one that can be shared: %v", action, err)
		}
	}
	d, err := Parse(`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","NotResource":"a"},` +
		`{"Effect":"Allow","Principal":"*","Action":"*","Resource":["b","c"]}]}`)
	if err != nil || !slices.Equal(d.Resources(), []string{"a", "b", "c"}) {
		t.Errorf("the resources %q, %v", d.Resources(), err)
	}
	d, err = Parse(meaning(`"Principal":"*","Condition":{"StringLike":{"aws:SourceArn":["x","${aws:userid}"]}}`))
	if err != nil || !slices.Equal(d.Unknown(), []string{"Condition"}) {
		t.Errorf("a variable in the second value: not evaluated %q, %v", d.Unknown(), err)
	}
}

// What follows a * may begin within what was taken for it first.
func TestMatchGoesBack(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"*aab", "aaab"}, {"arn:*:11:x", "arn:1:111:11:x"}, {"*a?b*c", "aaxabbc"}} {
		if !Match(c[0], c[1]) {
			t.Errorf("%s does not match %s", c[0], c[1])
		}
	}
}
