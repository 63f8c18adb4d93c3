package iam

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/identity"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage/memory"
)

const (
	requestID = "5f0b6f0e-0000-4000-8000-000000000000"
	trust     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	pass      = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["iam:PassRole", "s3:*"], "Resource": "*"}}`
	basic     = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

type endpoint struct {
	t       testing.TB
	handler http.Handler
}

func newEndpoint(t testing.TB) *endpoint {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	return &endpoint{t, New(Options{Identities: identity.New(identity.Options{
		Coord: memory.New(memory.Options{}).Coord(), Clock: clock.New(time.Until(noon)),
	})})}
}

// do sends an action with parameters as name, value, name, value; parts of the answer that vary are replaced.
func (e *endpoint) do(action string, parameters ...string) (int, string) {
	e.t.Helper()
	form := url.Values{"Action": {action}, "Version": {Version}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(
		w,
		r.WithContext(wire.WithCaller(e.t.Context(), wire.Caller{
			Account: "111122223333", Region: "us-east-1", RequestID: requestID,
		})),
	)
	if w.Header().Get("Content-Type") != "text/xml" || w.Header().Get("X-Amzn-Requestid") != requestID {
		e.t.Errorf("%s: headers %v", action, w.Header())
	}
	body := regexp.MustCompile(`(AROA|ANPA)[A-Z2-7]{17}`).ReplaceAllString(w.Body.String(), "$1…")
	return w.Code, regexp.MustCompile(`2026-01-05T12:0\d:\d\dZ`).ReplaceAllString(body, "NOON")
}

// ok sends an action that must succeed and returns the inside of its result.
func (e *endpoint) ok(action string, parameters ...string) string {
	e.t.Helper()
	status, body := e.do(action, parameters...)
	head, tail := `<?xml version="1.0" encoding="UTF-8"?>`+"\n<"+action+
		`Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/">`, "<ResponseMetadata><RequestId>"+requestID+
		"</RequestId></ResponseMetadata></"+action+"Response>"
	if status != 200 || !strings.HasPrefix(body, head) || !strings.HasSuffix(body, tail) {
		e.t.Fatalf("%s %q: %d %s", action, parameters, status, body)
	}
	result := strings.TrimSuffix(strings.TrimPrefix(body, head), tail)
	return strings.TrimSuffix(strings.TrimPrefix(result, "<"+action+"Result>"), "</"+action+"Result>")
}

func (e *endpoint) answers(want, action string, parameters ...string) {
	e.t.Helper()
	if got := e.ok(action, parameters...); got != want {
		e.t.Errorf("%s %q:\n got %s\nwant %s", action, parameters, got, want)
	}
}

func (e *endpoint) refused(status int, code, text, action string, parameters ...string) {
	e.t.Helper()
	gotStatus, body := e.do(action, parameters...)
	var got struct {
		Type    string `xml:"Error>Type"`
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if err := xml.Unmarshal([]byte(body), &got); err != nil || gotStatus != status || got.Code != code ||
		got.Message != text {
		e.t.Errorf("%s %.200q:\n got %d %s\nwant %d %s %s", action, parameters, gotStatus, body, status, code, text)
	}
}

const trustEncoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"

// What Terraform's aws_iam_role, aws_iam_role_policy and attachment do from creation to destruction.
func TestLifeOfARole(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const end = "<IsTruncated>false</IsTruncated>"
	const short = "<Path>/team/</Path><RoleName>r</RoleName><RoleId>AROA…</RoleId><Arn>arn:aws:iam::111122223333:role/team/r</Arn><CreateDate>NOON</CreateDate><AssumeRolePolicyDocument>" +
		trustEncoded +
		"</AssumeRolePolicyDocument><Description>a &amp; b</Description><MaxSessionDuration>3600</MaxSessionDuration>"
	const tags = "<Tags><member><Key>stage</Key><Value>dev</Value></member><member><Key>team</Key><Value>a</Value></member></Tags>"
	e.answers("<Role>"+short+tags+"</Role>", "CreateRole", "RoleName", "r", "Path", "/team/",
		"AssumeRolePolicyDocument", trust, "Description", "a & b",
		"Tags.member.1.Key", "team", "Tags.member.1.Value", "a", "Tags.member.2.Key", "stage", "Tags.member.2.Value",
		"dev")
	e.refused(
		409, "EntityAlreadyExists", "Role with name R already exists.", "CreateRole", "RoleName", "R",
		"AssumeRolePolicyDocument", trust,
	)
	e.answers("<Role>"+short+tags+"<RoleLastUsed></RoleLastUsed></Role>", "GetRole", "RoleName", "r")
	e.answers("<Roles><member>"+short+"</member></Roles>"+end, "ListRoles", "PathPrefix", "/team/")

	e.answers("", "PutRolePolicy", "RoleName", "r", "PolicyName", "p", "PolicyDocument", pass)
	e.answers("<PolicyNames><member>p</member></PolicyNames>"+end, "ListRolePolicies", "RoleName", "r")
	e.answers(
		"<RoleName>r</RoleName><PolicyName>p</PolicyName><PolicyDocument>"+strings.ReplaceAll(
			url.QueryEscape(pass), "+", "%20",
		)+"</PolicyDocument>",
		"GetRolePolicy", "RoleName", "r", "PolicyName", "p",
	)
	e.answers("", "AttachRolePolicy", "RoleName", "r", "PolicyArn", basic)
	e.answers("", "AttachRolePolicy", "RoleName", "r", "PolicyArn", basic)
	e.answers(
		"<AttachedPolicies><member><PolicyName>AWSLambdaBasicExecutionRole</PolicyName><PolicyArn>"+basic+
			"</PolicyArn></member></AttachedPolicies>"+end,
		"ListAttachedRolePolicies", "RoleName", "r",
	)

	e.refused(
		409, "DeleteConflict", "Cannot delete entity, must detach all policies first.", "DeleteRole", "RoleName", "r",
	)
	e.answers("", "DetachRolePolicy", "RoleName", "r", "PolicyArn", basic)
	e.refused(
		404, "NoSuchEntity", "Policy "+basic+" was not found.", "DetachRolePolicy", "RoleName", "r", "PolicyArn", basic,
	)
	e.refused(409, "DeleteConflict", "Cannot delete entity, must delete policies first.", "DeleteRole", "RoleName", "r")
	e.answers("", "DeleteRolePolicy", "RoleName", "r", "PolicyName", "p")
	e.refused(
		404, "NoSuchEntity", "The role policy with name p cannot be found.", "DeleteRolePolicy", "RoleName", "r",
		"PolicyName", "p",
	)
	e.refused(
		404, "NoSuchEntity", "The role policy with name p cannot be found.", "GetRolePolicy", "RoleName", "r",
		"PolicyName", "p",
	)
	e.answers("<InstanceProfiles></InstanceProfiles>"+end, "ListInstanceProfilesForRole", "RoleName", "r")

	e.answers(
		"", "UpdateAssumeRolePolicy", "RoleName", "r", "PolicyDocument", strings.Replace(trust, "lambda", "ecs", 1),
	)
	e.answers("", "UpdateRole", "RoleName", "r", "Description", "new", "MaxSessionDuration", "7200")
	e.answers("", "UntagRole", "RoleName", "r", "TagKeys.member.1", "TEAM")
	e.answers("", "TagRole", "RoleName", "r", "Tags.member.1.Key", "Stage", "Tags.member.1.Value", "prod")
	e.answers("<Tags><member><Key>Stage</Key><Value>prod</Value></member></Tags>"+end, "ListRoleTags", "RoleName", "r")
	if got := e.ok("GetRole", "RoleName", "r"); !strings.Contains(got, "ecs.amazonaws.com") ||
		!strings.Contains(got, "<Description>new</Description><MaxSessionDuration>7200<") {
		t.Errorf("after the updates: %s", got)
	}

	e.answers("", "DeleteRole", "RoleName", "r")
	for _, action := range []string{
		"GetRole", "DeleteRole", "ListRolePolicies", "ListAttachedRolePolicies", "ListInstanceProfilesForRole",
		"ListRoleTags",
	} {
		e.refused(404, "NoSuchEntity", "The role with name r cannot be found.", action, "RoleName", "r")
	}
}

// A managed policy with its versions, and what holds it.
func TestLifeOfAPolicy(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const arn = "arn:aws:iam::111122223333:policy/p"
	show := func(version string, attached int) string {
		return fmt.Sprintf("<PolicyName>p</PolicyName><PolicyId>ANPA…</PolicyId><Arn>%s</Arn><Path>/</Path><DefaultVersionId>%s</DefaultVersionId><AttachmentCount>%d</AttachmentCount>"+
			"<PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable><CreateDate>NOON</CreateDate><UpdateDate>NOON</UpdateDate>",
			arn, version, attached)
	}
	e.answers("<Policy>"+show("v1", 0)+"</Policy>", "CreatePolicy", "PolicyName", "p", "PolicyDocument", pass)
	e.refused(
		409, "EntityAlreadyExists", "A policy called p already exists. Duplicate names are not allowed.",
		"CreatePolicy", "PolicyName", "p", "PolicyDocument", pass, "Path", "/x/",
	)
	e.ok("CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust)
	e.answers("", "AttachRolePolicy", "RoleName", "r", "PolicyArn", arn)
	e.answers("<PolicyVersion><VersionId>v2</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate>NOON</CreateDate></PolicyVersion>",
		"CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", strings.Replace(pass, "Allow", "Deny", 1),
		"SetAsDefault", "true")
	e.answers("<Policy>"+show("v2", 1)+"</Policy>", "GetPolicy", "PolicyArn", arn)
	if got := e.ok("GetPolicyVersion", "PolicyArn", arn, "VersionId", "v1"); !strings.HasPrefix(
		got, "<PolicyVersion><Document>%7B%22Version%22%3A%20%22",
	) ||
		!strings.Contains(got, "iam%3APassRole") {
		t.Errorf("version 1: %s", got)
	}
	e.answers("<Versions><member><VersionId>v2</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate>NOON</CreateDate></member>"+
		"<member><VersionId>v1</VersionId><IsDefaultVersion>false</IsDefaultVersion><CreateDate>NOON</CreateDate></member></Versions><IsTruncated>false</IsTruncated>",
		"ListPolicyVersions", "PolicyArn", arn)
	e.answers(
		"<Policies><member>"+show("v2", 1)+"</member></Policies><IsTruncated>false</IsTruncated>", "ListPolicies",
		"Scope", "Local", "OnlyAttached", "true",
	)
	e.answers("<Policies></Policies><IsTruncated>false</IsTruncated>", "ListPolicies", "Scope", "AWS")
	e.answers("", "TagPolicy", "PolicyArn", arn, "Tags.member.1.Key", "a", "Tags.member.1.Value", "b")
	e.answers(
		"<Tags><member><Key>a</Key><Value>b</Value></member></Tags><IsTruncated>false</IsTruncated>", "ListPolicyTags",
		"PolicyArn", arn,
	)
	e.answers("", "UntagPolicy", "PolicyArn", arn, "TagKeys.member.1", "a")

	e.refused(409, "DeleteConflict", "Cannot delete a policy attached to entities.", "DeletePolicy", "PolicyArn", arn)
	e.answers("", "DetachRolePolicy", "RoleName", "r", "PolicyArn", arn)
	e.refused(
		409, "DeleteConflict",
		"This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
		"DeletePolicy", "PolicyArn", arn,
	)
	e.refused(
		409, "DeleteConflict", "Cannot delete the default version of a policy.", "DeletePolicyVersion", "PolicyArn",
		arn, "VersionId", "v2",
	)
	e.answers("", "SetDefaultPolicyVersion", "PolicyArn", arn, "VersionId", "v1")
	e.answers("", "DeletePolicyVersion", "PolicyArn", arn, "VersionId", "v2")
	e.refused(
		404, "NoSuchEntity", "Policy version v2 does not exist or is not attachable.", "GetPolicyVersion", "PolicyArn",
		arn, "VersionId", "v2",
	)
	for i := range 4 {
		e.ok("CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", pass)
		if i == 3 {
			e.refused(
				409, "LimitExceeded",
				"A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
				"CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", pass,
			)
		}
	}
	for i := range 4 {
		e.ok("DeletePolicyVersion", "PolicyArn", arn, "VersionId", fmt.Sprint("v", i+3))
	}
	e.answers("", "DeletePolicy", "PolicyArn", arn)
	e.refused(404, "NoSuchEntity", "Policy "+arn+" was not found.", "GetPolicy", "PolicyArn", arn)
	e.refused(
		404, "NoSuchEntity", "Policy "+arn+" does not exist or is not attachable.", "AttachRolePolicy", "RoleName", "r",
		"PolicyArn", arn,
	)
	e.refused(
		501, "NotImplementedException",
		"shardmill does not have the documents of AWS's own policies, of which "+basic+" is one; it can be attached.",
		"GetPolicy", "PolicyArn", basic,
	)
}

// Documents get the checks that AWS makes first; the inside of a statement is not checked.
func TestDocumentsAreChecked(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const m = "MalformedPolicyDocument"
	for document, text := range map[string]string{
		"x": "This policy contains invalid Json", "[]": "This policy contains invalid Json",
		"{}": "Syntax errors in policy.", `{"Statement":[]}`: "Syntax errors in policy.",
		`{"Statement":{"Effect":"Maybe","Action":"a"}}`:                                             "Syntax errors in policy.",
		`{"Version":"2020-01-01","Statement":{"Effect":"Allow"}}`:                                   "Policy document must be version 2012-10-17 or greater.",
		`{"Statement":{"Effect":"Allow"}}`:                                                          "Policy statement must contain actions.",
		`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`:                                "Missing required field Principal",
		`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}}`: "Has prohibited field Resource",
	} {
		e.refused(400, m, text, "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", document)
	}
	e.refused(
		400, m, "Policy statement must contain resources.", "CreatePolicy", "PolicyName", "p", "PolicyDocument",
		`{"Statement":{"Effect":"Allow","Action":"a:b"}}`,
	)
	e.refused(
		400, m, "Policy document should not specify a principal.", "CreatePolicy", "PolicyName", "p", "PolicyDocument",
		`{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*","Principal":"*"}}`,
	)
	e.ok("CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust)
	long := strings.Replace(pass, "iam:PassRole", strings.Repeat("x", 10_240), 1)
	e.refused(
		409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role r", "PutRolePolicy", "RoleName",
		"r", "PolicyName", "p", "PolicyDocument", long,
	)
	e.refused(
		409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", "CreatePolicy", "PolicyName", "p",
		"PolicyDocument", long,
	)
	e.refused(400, "ValidationError",
		"1 validation error detected: Value '"+strings.Repeat("x", 100)+
			"…' at 'policyDocument' failed to satisfy constraint: Member must have length less than or equal to 131072",
		"UpdateAssumeRolePolicy", "RoleName", "r", "PolicyDocument", strings.Repeat("x", maxDocument+1))
}

// Operations that AWS has and this room does not are refused by name.
func TestOtherOperationsAreRefusedByName(t *testing.T) {
	t.Parallel()
	others := strings.Fields(model.Others)
	wiretest.Listed(t, "iam", slices.Collect(maps.Keys(model.Served)), others)
	e := newEndpoint(t)
	for _, name := range others {
		text := "shardmill does not implement iam " + name + " yet; see docs/compat/iam.md."
		e.refused(501, "NotImplementedException", text, name)
	}
}

// Parameters that a role does not keep are refused by name.
func TestOtherParametersOfRolesAreRefusedByName(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for _, op := range []string{"CreateRole", "UpdateRole"} {
		e.refused(
			400, "ValidationError",
			"shardmill does not support the parameter MaxSigninSessionDuration yet; see docs/compat/iam.md.", op,
			"RoleName", "r", "AssumeRolePolicyDocument", "{}", "MaxSigninSessionDuration", "3600",
		)
	}
}

// Every broken constraint of a request is named.
func TestParametersAreChecked(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const v = "ValidationError"
	e.refused(400, v,
		`3 validation errors detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+; `+
			`Value 'x' at 'path' failed to satisfy constraint: Member must satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F); `+
			`Value '60' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600`,
		"CreateRole", "RoleName", "a b", "Path", "x", "AssumeRolePolicyDocument", trust, "MaxSessionDuration", "60")
	e.refused(
		400, v,
		"2 validation errors detected: Value null at 'policyDocument' failed to satisfy constraint: Member must not be null; Value null at 'roleName' failed to satisfy constraint: Member must not be null",
		"UpdateAssumeRolePolicy",
	)
	e.refused(400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
		"CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust,
		"Tags.member.1.Key", "a", "Tags.member.1.Value", "1", "Tags.member.2.Key", "A", "Tags.member.2.Value", "2")
	e.refused(400, v, "Invalid Marker.", "ListRoles", "Marker", "!")
	e.refused(
		400, v, "shardmill does not support the parameter PolicyUsageFilter yet; see docs/compat/iam.md.",
		"ListPolicies", "PolicyUsageFilter",
		"PermissionsPolicy",
	)
	e.refused(400, "MalformedQueryString", "The request is not valid UTF-8.", "GetRole", "RoleName", "\xff")
	e.refused(
		501, "NotImplementedException", "shardmill does not implement iam CreateUser yet; see docs/compat/iam.md.",
		"CreateUser", "UserName", "u",
	)
	e.refused(400, "InvalidAction", "Could not find operation Nobody for version 2010-05-08", "Nobody")
}

// Lists come in pages, each role once.
func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	var want []string
	for i := range 7 {
		name := string("aBcDeFg"[i])
		e.ok("CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust)
		want = append(want, name)
	}
	var got []string
	marker := []string{}
	for range 10 {
		page := e.ok("ListRoles", append(marker, "MaxItems", "3")...)
		for _, m := range regexp.MustCompile("<RoleName>([^<]*)").FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		next := regexp.MustCompile("<IsTruncated>true</IsTruncated><Marker>([^<]*)").FindStringSubmatch(page)
		if next == nil {
			break
		}
		marker = []string{"Marker", next[1]}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// Whatever a form holds, the answer is XML of the protocol.
func FuzzRequest(f *testing.F) {
	for action := range model.Served {
		f.Add(
			"Action=" + action +
				"&RoleName=r&PolicyName=p&PolicyArn=arn:aws:iam::111122223333:policy/p&VersionId=v1&Tags.member.1.Key=a",
		)
	}
	f.Add(url.Values{"Action": {"CreateRole"}, "RoleName": {"r"}, "AssumeRolePolicyDocument": {trust}}.Encode())
	f.Add(url.Values{"Action": {"CreatePolicy"}, "PolicyName": {"p"}, "PolicyDocument": {pass}}.Encode())
	e := newEndpoint(f)
	f.Fuzz(func(t *testing.T, fields string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields))
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(w, r.WithContext(wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333"})))
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal(w.Body.Bytes(), &any); err != nil || w.Code >= 500 && w.Code != 501 {
			t.Errorf("%s: %d %s: %v", fields, w.Code, w.Body, err)
		}
	})
}
