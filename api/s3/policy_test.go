package s3

import (
	"crypto/md5"
	"slices"
	"strings"
	"testing"
)

// What is judged by policies has the name that policies have for it; the exceptions judge by themselves.
func TestEveryOperationHasAnAction(t *testing.T) {
	t.Parallel()
	exceptions := []string{"CreateBucket", "DeleteObjects", "ListBuckets"}
	for operation := range model.Served {
		if actions[operation] == "" && !slices.Contains(exceptions, operation) {
			t.Errorf("%s has no action", operation)
		}
	}
	for operation, action := range actions {
		if _, ok := model.Served[operation]; !ok || !strings.HasPrefix(action, "s3:") {
			t.Errorf("%s, with the action %s, is not served", operation, action)
		}
	}
}

// PutBucketPolicy replaces a policy, which comes back as it was put.
func TestAPolicyOfABucketIsKeptAsItWasPut(t *testing.T) {
	t.Parallel()
	b := begin(t)
	document := func(principal, action, resource, more string) string {
		return `{"Version":"2012-10-17", "Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action +
			`","Resource":"` + resource + `"` + more + `}]}`
	}
	some := document(`{"AWS":"222222222222"}`, "s3:GetObject", "arn:aws:s3:::bbb/*", "")
	b.refused(b.do("GET", "/bbb?policy", ""), 404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	b.refused(b.do("GET", "/bbb?policyStatus", ""), 404, "NoSuchBucketPolicy", "")
	if a := b.ok(b.do("PUT", "/bbb?policy", some)); a.status != 204 {
		t.Errorf("put: %d", a.status)
	}
	if a := b.ok(b.do("GET", "/bbb?policy", "")); a.body != some || a.get("Content-Type") != "application/json" {
		t.Errorf("the policy is %s %s", a.get("Content-Type"), a.body)
	}
	if a := b.ok(b.do("GET", "/bbb?policyStatus", "")); !strings.Contains(a.body, "<IsPublic>false</IsPublic>") {
		t.Errorf("the status is %s", a.body)
	}
	for text, want := range map[string]string{
		"":                               "The policy is not valid: the policy is not JSON.",
		"{}":                             "The policy is not valid: the policy has no Statement.",
		document(`"*"`, "s3:*", "*", ""): "Policy has invalid resource",
		document(`"*"`, "s3:*", "arn:aws:s3:::bbbb/*", ""): "Policy has invalid resource",
		document(`"*"`, "sqs:*", "arn:aws:s3:::bbb", ""): "The policy is not valid: sqs:* cannot be shared with another " +
			"account on this resource.",
		document(`"*"`, "s3:*", "arn:aws:s3:::bbb", `,"Condition":{"Null":{"x:y":"true"}}`): "The policy is not valid: " +
			"Condition cannot be evaluated by shardmill and would be ignored; leave it out.",
		strings.Repeat(" ", 21<<10): "The policy has 21504 bytes; a resource policy has at most 20480.",
	} {
		b.refused(b.do("PUT", "/bbb?policy", text), 400, "MalformedPolicy", want)
	}
	if a := b.ok(b.do("GET", "/bbb?policy", "")); a.body != some {
		t.Errorf("after refusals the policy is %s", a.body)
	}
	b.ok(b.do("PUT", "/bbb?policy", document(`"*"`, "s3:GetObject", "arn:aws:s3:::bbb/*", "")))
	if a := b.ok(b.do("GET", "/bbb?policyStatus", "")); !strings.Contains(a.body, "<IsPublic>true</IsPublic>") {
		t.Errorf("the status is %s", a.body)
	}
	for range 2 { // which needs none
		if a := b.ok(b.do("DELETE", "/bbb?policy", "")); a.status != 204 {
			t.Errorf("delete: %d", a.status)
		}
	}
	b.refused(b.do("GET", "/bbb?policy", ""), 404, "NoSuchBucketPolicy", "")
	b.refused(b.do("PUT", "/none?policy", some), 404, "NoSuchBucket", "")
	b.refused(b.do("DELETE", "/none?policy", ""), 404, "NoSuchBucket", "")
}

// What is denied the owner cannot do either, but for mending the policy.
func TestTheOwnerOfABucketIsHeldToDenials(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/a", "x"))
	b.ok(b.do("PUT", "/bbb/kept/b", "x"))
	b.ok(b.do("PUT", "/bbb?policy", `{"Statement":{"Effect":"Deny","Principal":"*","Action":["s3:DeleteObject","s3:*Policy"],`+
		`"Resource":["arn:aws:s3:::bbb","arn:aws:s3:::bbb/kept/*"]}}`))
	const denied = "is not authorized to perform: s3:DeleteObject on resource: arn:aws:s3:::bbb/kept/b with an explicit " +
		"deny in a resource-based policy"
	a := b.do("DELETE", "/bbb/kept/b", "")
	if a.status != 403 || !strings.Contains(a.body, "<Code>AccessDenied<") || !strings.Contains(a.body, denied) {
		t.Errorf("%d %s", a.status, a.body)
	}
	const batch = "<Delete><Object><Key>a</Key></Object><Object><Key>kept/b</Key></Object></Delete>"
	sum := md5.Sum([]byte(batch))
	a = b.ok(b.do("POST", "/bbb?delete", batch, "Content-MD5", b64(sum[:])))
	if !strings.Contains(a.body, "<Deleted><Key>a</Key></Deleted>") || !strings.Contains(a.body, "<Key>kept/b</Key>"+
		"<Code>AccessDenied</Code>") {
		t.Errorf("a batch: %s", a.body)
	}
	b.ok(b.do("GET", "/bbb/kept/b", ""))
	b.ok(b.do("GET", "/bbb?policy", ""))
	b.ok(b.do("DELETE", "/bbb?policy", ""))
	b.ok(b.do("DELETE", "/bbb/kept/b", ""))
}
