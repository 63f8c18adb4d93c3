package policy

import "testing"

// Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "AWS global condition context keys".
func TestConditionsHold(t *testing.T) {
	t.Parallel()
	const topic = "arn:aws:sns:us-east-1:111111111111:t"
	asService := Request{
		Caller: Caller{Service: "sns.amazonaws.com"}, Action: "sqs:SendMessage", Resource: "q", Source: topic,
	}
	asRole := Request{
		Caller: Caller{Account: friend, Role: "arn:aws:sts::222222222222:assumed-role/reader/f"}, Action: "sqs:SendMessage",
		Resource: "arn:aws:sqs:us-east-1:111111111111:q",
	}
	asRoot := Request{Caller: Caller{Account: friend}, Action: "sqs:SendMessage", Resource: asRole.Resource}
	for _, c := range []struct {
		condition string
		request   Request
		want      Decision
	}{
		{`{"ArnEquals":{"aws:SourceArn":"` + topic + `"}}`, asService, Allowed},
		{`{"ArnLike":{"AWS:SourceArn":"arn:aws:sns:*:111111111111:*"}}`, asService, Allowed},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:t"}}`, asService, Silent}, // * does not go beyond its part
		{`{"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:t"}}`, asService, Silent},
		{`{"StringEquals":{"aws:SourceAccount":["1","111111111111"]}}`, asService, Allowed},
		{`{"StringEquals":{"aws:SourceAccount":"111111111111","aws:SourceArn":"x"}}`, asService, Silent},
		{`{"StringEquals":{"aws:SourceAccount":"111111111111"},"StringLike":{"aws:SourceArn":"*:t"}}`, asService, Allowed},
		{`{"StringEquals":{"aws:SourceArn":"` + topic + `"}}`, asRoot, Silent}, // it has none
		{`{"StringEqualsIfExists":{"aws:SourceArn":"` + topic + `"}}`, asRoot, Allowed},
		{`{"StringNotEquals":{"aws:SourceArn":"` + topic + `"}}`, asRoot, Allowed},
		{`{"StringNotEquals":{"aws:SourceArn":"` + topic + `"}}`, asService, Silent},
		{`{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`, asRole, Allowed},
		{`{"StringEquals":{"aws:PrincipalAccount":"333333333333"}}`, asRole, Silent},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/read*"}}`, asRole, Allowed},
		{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::222222222222:root"}}`, asRoot, Allowed},
		{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, asService, Silent},
		{`{"StringEqualsIgnoreCase":{"aws:SourceArn":"ARN:aws:sns:us-east-1:111111111111:T"}}`, asService, Allowed},
	} {
		for _, effect := range []string{"Allow", "Deny"} {
			d, err := Parse(statementOf(`"Effect":"` + effect + `","Action":"*","Resource":"*","Principal":` +
				`{"AWS":"222222222222","Service":"sns.amazonaws.com"},"Condition":` + c.condition))
			if err != nil || d.Unknown() != nil {
				t.Fatalf("%s: %v, not evaluated: %v", c.condition, err, d.Unknown())
			}
			want := c.want
			if effect == "Deny" && want == Allowed {
				want = Denied
			}
			if got := d.Decide(c.request); got != want {
				t.Errorf("%s %s: %d, want %d", effect, c.condition, got, want)
			}
		}
	}
	for _, condition := range []string{
		`{"Bool":{"aws:SecureTransport":"true"}}`, `{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`, `{"StringEquals":"x"}`,
		`{"StringEquals":{"aws:SourceArn":"${aws:x}"}}`, `{"StringEquals":{"aws:SourceArn":{}}}`, `[]`, `"x"`, `null`,
		`{"Null":{"aws:SourceArn":"true"}}`, `{"ForAnyValue:StringEquals":{"aws:SourceArn":"x"}}`,
	} {
		d, err := Parse(meaning(`"Principal":"*","Condition":` + condition))
		if err != nil || len(d.Unknown()) != 1 {
			t.Errorf("%s is evaluated: %v", condition, err)
		}
	}
}

// A service is meant by its name, and no account by that.
func TestServicesAreMeantByTheirNames(t *testing.T) {
	t.Parallel()
	d, err := Parse(meaning(`"Principal":{"Service":["sns.amazonaws.com"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for caller, want := range map[Caller]Decision{
		{Service: "sns.amazonaws.com"}: Allowed, {Service: "sqs.amazonaws.com"}: Silent, {Account: friend}: Silent,
		{Account: "sns.amazonaws.com"}: Silent,
	} {
		if got := d.Decide(put(caller)); got != want {
			t.Errorf("%+v: %d, want %d", caller, got, want)
		}
	}
}
