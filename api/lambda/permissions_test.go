package lambda_test

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
)

const noPolicy = "The resource you requested does not exist."

// §2.10: AddPermission answers the statement as a text; GetPolicy the document, with a revision of its own; each
// qualifier has its policy; the last statement takes the policy along. A hint says that nothing is enforced.
func TestPolicies(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.publish(nil)
	b.do("POST", functions+"/f/aliases", object{"Name": "live", "FunctionVersion": "1"})
	policy := functions + "/f/policy"
	before := b.settled()["RevisionId"]
	b.do("GET", policy, nil).fails(404, "ResourceNotFoundException", noPolicy)

	a := b.do("POST", policy, object{
		"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
		"SourceArn": "arn:aws:s3:::b", "SourceAccount": "111122223333",
	})

	s3 := `{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"` +
		arnF + `","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"},"StringEquals":{"AWS:SourceAccount":"111122223333"}}}`
	if a.status != 201 || a.fields()["Statement"] != s3 {
		t.Errorf("added: %d %s", a.status, a.body)
	}
	if hint := a.header.Get(wire.HintHeader); !strings.Contains(hint, "does not enforce") {
		t.Errorf("the hint is %q", hint)
	}
	got := b.do("GET", policy, nil).fields()
	if got["Policy"] != `{"Version":"2012-10-17","Id":"default","Statement":[`+s3+`]}` {
		t.Errorf("the policy is %v", got["Policy"])
	}
	b.do("POST", policy, object{
		"StatementId": "all", "Action": "*", "Principal": "*", "PrincipalOrgID": "o-abcdefghij",
		"RevisionId": got["RevisionId"],
	}).is(201, `{"Statement":"{\"Sid\":\"all\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"`+
		arnF+`\",\"Condition\":{\"StringEquals\":{\"aws:PrincipalOrgID\":\"o-abcdefghij\"}}}"}`)
	if now := b.do("GET", policy, nil).fields()["RevisionId"]; now == got["RevisionId"] {
		t.Errorf("the policy has another statement and still revision %v", now)
	}
	for qualifier, principal := range map[string]string{
		"1": "111122223333", "live": "arn:aws:iam::111122223333:role/r",
	} {
		a := b.do("POST", policy+"?Qualifier="+qualifier, object{
			"StatementId": "s", "Action": "lambda:*", "Principal": principal, "EventSourceToken": "t",
			"FunctionUrlAuthType": "NONE",
		})
		statement, _ := a.fields()["Statement"].(string)
		arn := principal
		if qualifier == "1" {
			arn = "arn:aws:iam::111122223333:root"
		}
		for _, part := range []string{
			`"Principal":{"AWS":"` + arn + `"}`, `"Resource":"` + arnF + `:` + qualifier + `"`,
			`"Condition":{"StringEquals":{"lambda:EventSourceToken":"t","lambda:FunctionUrlAuthType":"NONE"}}`,
		} {
			if !strings.Contains(statement, part) {
				t.Errorf("%s of %s lacks %s", statement, qualifier, part)
			}
		}
		if p := b.do("GET", functions+"/f:"+qualifier+"/policy", nil); p.status != 200 ||
			strings.Contains(p.body, "s3") {
			t.Errorf("the policy of %s is %s", qualifier, p.body)
		}
	}
	if b.settled()["RevisionId"] != before {
		t.Error("a policy has changed the function's revision")
	}
	b.do("DELETE", policy+"/s3", nil).is(204, "")
	if p := b.do("GET", policy, nil).body; strings.Contains(p, `\"s3\"`) || !strings.Contains(p, `\"all\"`) {
		t.Errorf("after a removal the policy is %s", p)
	}
	b.do("DELETE", policy+"/all", nil).is(204, "")
	b.do("GET", policy, nil).fails(404, "ResourceNotFoundException", noPolicy)
	b.do("DELETE", functions+"/f/aliases/live", nil) // its policy goes along
	b.do("POST", functions+"/f/aliases", object{"Name": "live", "FunctionVersion": "1"})
	b.do("GET", policy+"?Qualifier=live", nil).fails(404, "ResourceNotFoundException", noPolicy)
}

// §2.10: refusals in AWS's words.
func TestPolicyRefusals(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	policy := functions + "/f/policy"
	statement := func(change object) object {
		s := object{"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
		for k, v := range change {
			s[k] = v
		}
		return s
	}
	b.do("DELETE", policy+"/x", nil).fails(
		404, "ResourceNotFoundException", "No policy is associated with the given resource.",
	)
	b.do("POST", policy, statement(nil))
	const parameter, validation, missing = "InvalidParameterValueException", "ValidationException", "ResourceNotFoundException"
	const current = "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id"

	b.do("POST", policy, statement(nil)).fails(409, "ResourceConflictException",
		"The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing statement.")
	b.do("DELETE", policy+"/x", nil).fails(404, missing, "Statement x is not found in resource policy.")
	b.do("DELETE", policy+"/s3?RevisionId=x", nil).fails(412, "PreconditionFailedException", current)
	b.do("POST", policy, statement(object{"StatementId": "n", "RevisionId": "x"})).fails(
		412, "PreconditionFailedException", current,
	)
	b.do("POST", policy+"?Qualifier=%24LATEST", statement(nil)).fails(
		400, parameter, "We currently do not support adding policies for $LATEST.",
	)
	b.do("POST", policy+"?Qualifier=7", statement(nil)).fails(404, missing, "Function not found: "+arnF+":7")
	b.do("GET", policy+"?Qualifier=none", nil).fails(404, missing, "Cannot find alias arn: "+arnF+":none")
	b.do("POST", functions+"/g/policy", statement(nil)).fails(
		404, missing, "Function not found: "+strings.TrimSuffix(arnF, "f")+"g",
	)
	b.do("POST", policy, statement(object{"StatementId": "n", "Principal": "nobody"})).fails(
		400, parameter, "The provided principal was invalid. Please check the principal and try again.",
	)
	b.do("POST", policy, statement(object{"StatementId": "n", "InvokedViaFunctionUrl": true})).fails(
		400, parameter, "shardmill does not support InvokedViaFunctionUrl yet; see docs/compat/lambda.md.",
	)
	b.do("POST", policy, object{}).fails(400, validation, "3 validation errors detected: "+
		"Value null at 'statementId' failed to satisfy constraint: Member must not be null; "+
		"Value null at 'action' failed to satisfy constraint: Member must not be null; "+
		"Value null at 'principal' failed to satisfy constraint: Member must not be null")
	b.do("POST", policy, statement(object{"StatementId": "a b", "Action": "s3:Get", "SourceAccount": "1"})).fails(
		400, validation, "3 validation errors detected: "+
			"Value 'a b' at 'statementId' failed to satisfy constraint: Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+); "+
			"Value 's3:Get' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*]); "+
			`Value '1' at 'sourceAccount' failed to satisfy constraint: Member must satisfy regular expression pattern: \d{12}`,
	)
	var last answer
	for i := range 100 { // 20,480 bytes are not 100 statements
		last = b.do("POST", policy, statement(object{
			"StatementId": strings.Repeat("s", i+1), "SourceArn": "arn:aws:s3:::" + strings.Repeat("b", 200),
		}))
		if last.status != 201 {
			break
		}
	}
	if last.status != 400 || last.header.Get("x-amzn-errortype") != "PolicyLengthExceededException" ||
		!strings.Contains(last.body, "is bigger than the limit (20480).") {
		t.Errorf("a long policy: %d %s", last.status, last.body)
	}
}

// F-24: CodeSizeUnzipped 262144000, CodeSizeZipped 52428800, TotalCodeSize 80530636800, ConcurrentExecutions 1000; what
// is unreserved and used is computed: all versions count.
func TestAccountSettings(t *testing.T) {
	t.Parallel()
	b := start(t)
	const path = "/2016-08-19/account-settings"
	const limit = `{"AccountLimit":{"TotalCodeSize":80530636800,"CodeSizeUnzipped":262144000,"CodeSizeZipped":52428800,"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":`
	b.do("GET", path, nil).is(200, limit+`1000},"AccountUsage":{"TotalCodeSize":0,"FunctionCount":0}}`)
	size := b.create(nil)["CodeSize"]
	b.publish(nil)
	b.do("PUT", "/2017-10-31/functions/f/concurrency", object{"ReservedConcurrentExecutions": 30})

	m := b.do("GET", path, nil).fields()

	if m["AccountLimit"].(object)["UnreservedConcurrentExecutions"] != 970.0 {
		t.Errorf("limits: %v", m["AccountLimit"])
	}
	if usage := m["AccountUsage"].(object); usage["FunctionCount"] != 1.0 ||
		usage["TotalCodeSize"] != 2*size.(float64) {
		t.Errorf("usage: %v, a package has %v bytes", usage, size)
	}
}

// §2.1: GetFunctionCodeSigningConfig is {} when unset; an unknown function is 404; deleting nothing is 204.
func TestNoFunctionHasCodeSigning(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	const of = "/2020-06-30/functions/"
	b.do("GET", of+"f/code-signing-config", nil).is(200, "{}")
	b.do("DELETE", of+"f/code-signing-config", nil).is(204, "")
	for _, method := range []string{"GET", "DELETE"} {
		b.do(method, of+"g/code-signing-config", nil).fails(
			404, "ResourceNotFoundException", "Function not found: "+strings.TrimSuffix(arnF, "f")+"g",
		)
	}
}

// §2.1: ListDurableExecutionsByFunction answers an empty list, because Terraform's provider calls it on delete.
func TestNoFunctionHasDurableExecutions(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	const of = "/2025-12-01/functions/"
	b.do("GET", of+"f/durable-executions?Statuses=RUNNING&MaxItems=10", nil).is(200, `{"DurableExecutions":[]}`)
	b.do("GET", of+"f/durable-executions?Qualifier=$LATEST", nil).is(200, `{"DurableExecutions":[]}`)
	b.do("GET", of+"g/durable-executions", nil).fails(
		404, "ResourceNotFoundException", "Function not found: "+strings.TrimSuffix(arnF, "f")+"g",
	)
	b.do("GET", of+"f/durable-executions?MaxItems=many", nil).fails(
		400, "InvalidParameterValueException", "MaxItems must be a number; got many.",
	)
}
