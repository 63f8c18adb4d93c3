package sqs

import (
	"strings"
	"testing"
)

// policy returns the attribute Policy; "" if the queue has none.
func (e *endpoint) policy() string {
	e.t.Helper()
	all, _ := e.ok("GetQueueAttributes", withURL(`"AttributeNames":["Policy"]`))["Attributes"].(map[string]any)
	text, _ := all["Policy"].(string)
	return text
}

// SQS API Reference, AddPermission and RemovePermission: they write the policy that SetQueueAttributes replaces.
func TestPermissionsMakeUpAPolicy(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	if got := e.policy(); got != "" {
		t.Errorf("a new queue has the policy %s", got)
	}
	e.ok("AddPermission", withURL(`"Label":"a","AWSAccountIds":["222222222222"],"Actions":["SendMessage"]`))
	e.ok("AddPermission", withURL(`"Label":"b","AWSAccountIds":["222222222222","333333333333"],"Actions":["*","GetQueueUrl"]`))
	const (
		head = `{"Version":"2012-10-17","Id":"arn:aws:sqs:eu-west-1:111122223333:orders/SQSDefaultPolicy","Statement":[`
		a    = `{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"SQS:SendMessage",` +
			`"Resource":"arn:aws:sqs:eu-west-1:111122223333:orders"}`
		b = `{"Sid":"b","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root",` +
			`"arn:aws:iam::333333333333:root"]},"Action":["SQS:*","SQS:GetQueueUrl"],` +
			`"Resource":"arn:aws:sqs:eu-west-1:111122223333:orders"}`
	)
	if got := e.policy(); got != head+a+","+b+"]}" {
		t.Errorf("the policy is %s", got)
	}
	e.ok("RemovePermission", withURL(`"Label":"a"`))
	if got := e.policy(); got != head+b+"]}" {
		t.Errorf("the policy is %s", got)
	}
	e.ok("RemovePermission", withURL(`"Label":"b"`))
	if got := e.policy(); got != "" {
		t.Errorf("without permissions the policy is %s", got)
	}

	own := `{"Statement":{"Sid":"x","Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}}`
	quoted := strings.ReplaceAll(own, `"`, `\"`)
	e.ok("SetQueueAttributes", withURL(`"Attributes":{"Policy":"`+quoted+`"}`))
	if got := e.policy(); got != own {
		t.Errorf("the policy is %s, want it as it was put", got)
	}
	e.ok("CreateQueue", `{"QueueName":"orders","Attributes":{"Policy":"`+quoted+`"}}`)
	e.refused("CreateQueue", `{"QueueName":"orders","Attributes":{"Policy":"`+quoted+` "}}`, 400,
		"com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists;Sender",
		"A queue already exists with the same name and a different value for attribute Policy")
	e.ok("AddPermission", withURL(`"Label":"a","AWSAccountIds":["222222222222"],"Actions":["SendMessage"]`))
	statement := strings.TrimSuffix(strings.TrimPrefix(own, `{"Statement":`), "}")
	if got := e.policy(); got != `{"Statement":[`+statement+","+a+"]}" {
		t.Errorf("a statement beside one that is no list: %s", got)
	}
	e.ok("SetQueueAttributes", withURL(`"Attributes":{"Policy":""}`))
	if got := e.policy(); got != "" {
		t.Errorf("the policy that was taken away is %s", got)
	}
}

func TestPoliciesOfQueuesAreChecked(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	e.ok("AddPermission", withURL(`"Label":"a","AWSAccountIds":["222222222222"],"Actions":["SendMessage"]`))
	before := e.policy()
	const invalid, invalidQuery = "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue;Sender"
	with := func(members string) string {
		return withURL(`"Attributes":{"Policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",` +
			strings.ReplaceAll(members, `"`, `\"`) + `}}"}`)
	}
	for _, c := range []struct{ op, body, kind, query, text string }{
		{
			"AddPermission", withURL(`"Label":"a","AWSAccountIds":["222222222222"],"Actions":["SendMessage"]`),
			invalid, invalidQuery, "Value a for parameter Label is invalid. Reason: Already exists.",
		},
		{
			"AddPermission", withURL(`"Label":"b","AWSAccountIds":["222222222222"],"Actions":["DeleteQueue"]`), invalid, invalidQuery,
			"Value SQS:DeleteQueue for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.",
		},
		{
			"AddPermission", withURL(`"Label":"b","AWSAccountIds":["2"],"Actions":["SendMessage"]`), invalid, invalidQuery,
			"Value [2] for parameter PrincipalId is invalid. Reason: Unable to verify.",
		},
		{
			"AddPermission", withURL(`"Label":"b","AWSAccountIds":["222222222222"]`),
			"com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter;Sender",
			"The request must contain the parameter Actions.",
		},
		{
			"AddPermission", withURL(`"Label":"b","AWSAccountIds":["222222222222"],"Actions":["*","*","*","*","*","*","*","*"]`),
			"com.amazonaws.sqs#OverLimit", "OverLimit;Sender", "8 Actions were found, maximum allowed is 7.",
		},
		{
			"AddPermission", withURL(`"Label":"b c","AWSAccountIds":["222222222222"],"Actions":["*"]`), invalid, invalidQuery,
			"Value b c for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or " +
				"underscores. 1 to 80 in length.",
		},
		{
			"RemovePermission", withURL(`"Label":"b"`), invalid, invalidQuery,
			"Value b for parameter Label is invalid. Reason: can't find label on existing policy.",
		},
		{
			"SetQueueAttributes", withURL(`"Attributes":{"Policy":"x"}`), "com.amazonaws.sqs#InvalidAttributeValue",
			"InvalidAttributeValue;Sender", "The policy is not valid: the policy is not JSON.",
		},
		{
			"SetQueueAttributes", with(`"Action":"sqs:*","Resource":"*","Condition":{"Null":{"x:y":"true"}}`),
			"com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender", "The policy is not valid: " +
				"Condition cannot be evaluated by shardmill and would be ignored; leave it out.",
		},
		{
			"SetQueueAttributes", with(`"Action":"sqs:DeleteQueue","Resource":"*"`),
			"com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender",
			"The policy is not valid: sqs:deletequeue cannot be shared with another account on this resource.",
		},
		{
			"SetQueueAttributes", withURL(`"Attributes":{"Policy":"","DelaySeconds":"1"}`), unsupportedType, unsupportedQuery,
			"shardmill does not support a change of the attribute DelaySeconds yet; see docs/compat/sqs.md.",
		},
		{
			"SetQueueAttributes", withURL(`"Attributes":{"Colour":"red"}`), "com.amazonaws.sqs#InvalidAttributeName",
			"InvalidAttributeName;Sender", "Unknown Attribute Colour.",
		},
		{
			"SetQueueAttributes", withURL(``), "com.amazon.coral.service#MissingRequiredParameterException",
			"MissingParameter;Sender", "The request must contain the parameter Attribute.Name.",
		},
	} {
		e.refused(c.op, c.body, 400, c.kind, c.query, c.text)
	}
	if got := e.policy(); got != before {
		t.Errorf("what was refused changed the policy to %s", got)
	}
}
