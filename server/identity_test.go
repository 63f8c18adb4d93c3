package server

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/control"
)

// call sends a request to a service by its target, or a form; the caller is signed.
func (b *bench) call(target, contentType, body string) (int, string) {
	b.Helper()
	headers := []string{
		"Content-Type", contentType, "Authorization",
		"AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/any/aws4_request, SignedHeaders=host, Signature=00",
	}
	if target != "" {
		headers = append(headers, "X-Amz-Target", target)
	}
	return b.do("POST", "/", body, headers...)
}

const (
	formType  = "application/x-www-form-urlencoded"
	roleForm  = "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Principal%22%3A%22%2A%22%7D%7D"
	rolesForm = "Action=ListRoles&Version=2010-05-08"
)

// Log groups, their events and roles are there after a restart, and gone after a reset.
func TestLogsAndRolesOutliveARestartAndNotAReset(t *testing.T) {
	t.Parallel()
	cfg := Config{Data: t.TempDir(), Dev: true}
	b := start(t, cfg)
	b.ok(b.call("Logs_20140328.CreateLogGroup", "application/x-amz-json-1.1", `{"logGroupName":"g"}`))
	b.ok(b.call(
		"Logs_20140328.CreateLogStream", "application/x-amz-json-1.1", `{"logGroupName":"g","logStreamName":"s"}`,
	))
	_, streams := b.call("Logs_20140328.DescribeLogStreams", "application/x-amz-json-1.1", `{"logGroupName":"g"}`)
	_, after, _ := strings.Cut(streams, `"creationTime":`)
	now, _, _ := strings.Cut(after, ",")
	b.ok(b.call(
		"Logs_20140328.PutLogEvents", "application/x-amz-json-1.1",
		`{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":`+now+`,"message":"kept"}]}`,
	))
	b.ok(b.call("", formType, roleForm))
	if got := b.ok(b.call("", formType, "Action=GetCallerIdentity&Version=2011-06-15")); !strings.Contains(
		got, "<Arn>arn:aws:iam::000000000000:root</Arn>",
	) {
		t.Errorf("the caller is %s", got)
	}
	b.s.Stop(t.Context())

	again := start(t, cfg)

	if got := again.ok(again.call(
		"Logs_20140328.FilterLogEvents", "application/x-amz-json-1.1", `{"logGroupName":"g"}`,
	)); !strings.Contains(got, `"message":"kept"`) {
		t.Errorf("events after the restart: %s", got)
	}
	if got := again.ok(again.call("", formType, rolesForm)); !strings.Contains(got, "<RoleName>r</RoleName>") {
		t.Errorf("roles after the restart: %s", got)
	}

	again.ok(again.control("POST", control.PathReset, ""))

	if got := again.ok(again.call(
		"Logs_20140328.DescribeLogGroups", "application/x-amz-json-1.1", `{}`,
	)); !strings.Contains(got, `"logGroups":[]`) {
		t.Errorf("groups after the reset: %s", got)
	}
	if got := again.ok(again.call("", formType, rolesForm)); strings.Contains(got, "<RoleName>") {
		t.Errorf("roles after the reset: %s", got)
	}
}
