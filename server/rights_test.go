package server

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/auth"
)

// call calls an operation of a JSON service with a key.
func (g *guarded) call(k aws.Credentials, service, target, body string) (int, string) {
	g.Helper()
	r := g.request(own{method: "POST", path: "/", body: body, headers: []string{
		"X-Amz-Target", target, "Content-Type", "application/x-amz-json-1.1",
	}})
	g.sign(r, k, service, body, time.Now())
	return g.send(g.client, r)
}

// callIn calls an operation of Kinesis in a region.
func (g *guarded) callIn(region string, k aws.Credentials, operation, body string) (int, string) {
	g.Helper()
	r := g.request(own{method: "POST", path: "/", body: body, headers: []string{
		"X-Amz-Target", "Kinesis_20131202." + operation, "Content-Type", "application/x-amz-json-1.1",
	}})
	if err := v4.NewSigner().SignHTTP(r.Context(), k, r, digestOf(body), "kinesis", region, time.Now()); err != nil {
		g.Fatal(err)
	}
	return g.send(g.client, r)
}

// rest calls an operation of Lambda, or of our own API, with a key.
func (g *guarded) rest(k aws.Credentials, service, method, path, body string) (int, string) {
	g.Helper()
	r := g.request(own{method: method, path: path, body: body})
	g.sign(r, k, service, body, time.Now())
	return g.send(g.client, r)
}

// Each role may do what it is for, in every service and in our own API, and nothing else.
func TestRolesHoldInEveryService(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{Dev: true})
	admin := g.keys[auth.Admin]
	g.ok(g.call(admin, "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"s","ShardCount":1}`))
	g.ok(g.call(admin, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`))
	json := func(service, target, body string) func(aws.Credentials) (int, string) {
		return func(k aws.Credentials) (int, string) { return g.call(k, service, target, body) }
	}
	rest := func(service, method, path, body string) func(aws.Credentials) (int, string) {
		return func(k aws.Credentials) (int, string) { return g.rest(k, service, method, path, body) }
	}
	form := func(service, body string) func(aws.Credentials) (int, string) {
		return func(k aws.Credentials) (int, string) {
			r := g.request(own{method: "POST", path: "/", body: body, headers: []string{
				"Content-Type", "application/x-www-form-urlencoded",
			}})
			g.sign(r, k, service, body, time.Now())
			return g.send(g.client, r)
		}
	}
	all := auth.Roles
	for _, c := range []struct {
		what string
		may  []auth.Role
		do   func(aws.Credentials) (int, string)
	}{
		{"list streams", all, json("kinesis", "Kinesis_20131202.ListStreams", "{}")},
		{"put a record", []auth.Role{auth.Produce, auth.Operate, auth.Admin}, json(
			"kinesis", "Kinesis_20131202.PutRecord", `{"StreamName":"s","Data":"YQ==","PartitionKey":"k"}`,
		)},
		{"read records", []auth.Role{auth.Consume, auth.Operate, auth.Admin}, json(
			"kinesis", "Kinesis_20131202.GetShardIterator",
			`{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"LATEST"}`,
		)},
		{"tag a stream", []auth.Role{auth.Operate, auth.Admin}, json(
			"kinesis", "Kinesis_20131202.AddTagsToStream", `{"StreamName":"s","Tags":{"a":"b"}}`,
		)},
		{"list functions", all, rest("lambda", "GET", "/2015-03-31/functions", "")},
		{"create a function", []auth.Role{auth.Operate, auth.Admin}, rest(
			"lambda", "POST", "/2015-03-31/functions", "{}",
		)},
		{"invoke a function", []auth.Role{auth.Operate, auth.Admin}, rest(
			"lambda", "POST", "/2015-03-31/functions/f/invocations", "{}",
		)},
		{"list mappings", all, rest("lambda", "GET", "/2015-03-31/event-source-mappings", "")},
		{"create a mapping", []auth.Role{auth.Operate, auth.Admin}, rest(
			"lambda", "POST", "/2015-03-31/event-source-mappings", "{}",
		)},
		{"tag what Lambda has", []auth.Role{auth.Operate, auth.Admin}, rest(
			"lambda", "POST", "/2017-03-31/tags/x", "{}",
		)},
		{"list queues", all, json("sqs", "AmazonSQS.ListQueues", "{}")},
		{"send a message", []auth.Role{auth.Operate, auth.Admin}, form(
			"sqs",
			"Version=2012-11-05&MessageBody=a&QueueUrl=http%3A%2F%2F127.0.0.1%2F000000000000%2Fq&Action=SendMessage",
		)},
		{"list tables", all, json("dynamodb", "DynamoDB_20120810.ListTables", "{}")},
		{"keep account", []auth.Role{auth.Consume, auth.Operate, auth.Admin}, json(
			"dynamodb", "DynamoDB_20120810.GetItem", `{"TableName":"leases","Key":{"a":{"S":"b"}}}`,
		)},
		{"delete a table", []auth.Role{auth.Operate, auth.Admin}, json(
			"dynamodb", "DynamoDB_20120810.DeleteTable", `{"TableName":"leases"}`,
		)},
		{"list metrics", all, json("monitoring", "GraniteServiceVersion20100801.ListMetrics", "{}")},
		{"put metrics", []auth.Role{auth.Consume, auth.Produce, auth.Operate, auth.Admin}, form(
			"monitoring", "Action=PutMetricData&Version=2010-08-01",
		)},
		{"list topics", all, form("sns", "Action=ListTopics&Version=2010-03-31")},
		{"create a topic", []auth.Role{auth.Operate, auth.Admin}, form(
			"sns", "Action=CreateTopic&Version=2010-03-31&Name=t",
		)},
		{"describe log groups", all, json("logs", "Logs_20140328.DescribeLogGroups", "{}")},
		{"delete a log group", []auth.Role{auth.Operate, auth.Admin}, json(
			"logs", "Logs_20140328.DeleteLogGroup", `{"logGroupName":"g"}`,
		)},
		{"list roles", all, form("iam", "Action=ListRoles&Version=2010-05-08")},
		{"delete a role", []auth.Role{auth.Admin}, form("iam", "Action=DeleteRole&Version=2010-05-08&RoleName=r")},
		{"ask who one is", all, form("sts", "Action=GetCallerIdentity&Version=2011-06-15")},
		{"list buckets", all, rest("s3", "GET", "/", "")},
		{"get an object", []auth.Role{auth.Operate, auth.Admin}, rest("s3", "GET", "/bucket/key", "")},
		{"put an object", []auth.Role{auth.Operate, auth.Admin}, rest("s3", "PUT", "/bucket/key", "x")},
		{"see the clock", all, rest("shardmill", "GET", "/_shardmill/clock", "")},
		{"see what functions have logged", all, rest("shardmill", "GET", "/_shardmill/logs?function=f", "")},
		{"see the reach", all, rest("shardmill", "GET", "/_shardmill/reach", "")},
		{"see the chaos", all, rest("shardmill", "GET", "/_shardmill/chaos", "")},
		{"set chaos", []auth.Role{auth.Admin}, rest("shardmill", "POST", "/_shardmill/chaos", "{}")},
		{"stop chaos", []auth.Role{auth.Admin}, rest("shardmill", "DELETE", "/_shardmill/chaos", "")},
		{"back up", []auth.Role{auth.Admin}, rest("shardmill", "POST", "/_shardmill/backup", "{}")},
		{"replay", []auth.Role{auth.Operate, auth.Admin}, rest("shardmill", "POST", "/_shardmill/replay", "{}")},
		{"move the clock", []auth.Role{auth.Admin}, rest(
			"shardmill", "POST", "/_shardmill/clock", `{"advanceMillis":-1}`,
		)},
		{"take a profile", []auth.Role{auth.Admin}, rest("shardmill", "GET", "/_shardmill/debug/pprof/", "")},
	} {
		for _, role := range auth.Roles {
			status, answer := c.do(g.keys[role])
			denied := strings.Contains(answer, "is not authorized to perform: ")
			if denied == slices.Contains(c.may, role) || denied && status != 403 && status != 400 {
				t.Errorf("%s, to %s: %d %s", role, c.what, status, answer)
			}
		}
	}
	if status, answer := g.rest(aws.Credentials{AccessKeyID: "AKIANOBODYHASTHISKEY", SecretAccessKey: "x"}, "shardmill",
		"GET", "/_shardmill/clock", ""); status != 403 || !strings.Contains(answer, "UnrecognizedClientException") {
		t.Errorf("our own API takes an unknown key: %d %s", status, answer)
	}
	if status, answer := g.control("GET", "/_shardmill/clock", ""); status != 200 {
		t.Errorf("our own API does not take its token: %d %s", status, answer)
	}
	for service, p := range map[string]struct{ target, version string }{
		"kinesis": {target: "Kinesis_20131202."}, "dynamodb": {target: "DynamoDB_20120810."},
		"sqs": {target: "AmazonSQS."}, "monitoring": {target: "GraniteServiceVersion20100801."},
		"logs": {target: "Logs_20140328."}, "sns": {version: "2010-03-31"}, "iam": {version: "2010-05-08"},
		"sts": {version: "2011-06-15"},
	} {
		operations := auth.Operations(service)
		if len(operations) == 0 {
			t.Errorf("no list has operations of %s", service)
		}
		for _, operation := range operations {
			do := json(service, p.target+operation, "{}")
			if p.target == "" {
				do = form(service, "Version="+p.version+"&Action="+operation)
			}
			for _, role := range auth.Roles {
				status, answer := do(g.keys[role])
				rights := auth.Rights{Role: role}
				if denied := strings.Contains(answer, "is not authorized to perform: "); denied == rights.May(service,
					operation) || status >= 500 {
					t.Errorf("%s, to %s of %s: %d %s", role, operation, service, status, answer)
				}
			}
		}
	}
	status, answer := g.rest(admin, "sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "")
	if status != 200 || !strings.Contains(answer, "<Arn>arn:aws:iam::000000000000:user/admin</Arn>") {
		t.Errorf("who one is: %d %s", status, answer)
	}
}

// add puts a key into the file of a server, which reads it again.
func (g *guarded) add(name, account string, rights auth.Rights) aws.Credentials {
	g.Helper()
	k := auth.New(name, account, rights)
	if err := errors.Join(auth.Add(g.s.cfg.Auth.Path(), k), g.s.cfg.Auth.Reload()); err != nil {
		g.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
}

// Chaos is held to the account of its key, and to the streams that the key may use: it is neither set nor ended for
// others, and not shown to another account.
func TestChaosIsHeldToTheKey(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{Dev: true})
	const other = "111122223333"
	admin := g.keys[auth.Admin]
	theirs := g.add("theirs", other, auth.Rights{Role: auth.Admin})
	limited := g.add("limited", "", auth.Rights{Role: auth.Admin, Streams: []string{"mine-*"}})
	for k, name := range map[aws.Credentials]string{admin: "orders", theirs: "orders", limited: "mine-1"} {
		g.ok(g.call(k, "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`))
	}
	set := func(k aws.Credentials, account, stream string) (int, string) {
		return g.rest(k, "shardmill", "POST", control.PathChaos,
			`{"account":"`+account+`","stream":"`+stream+`","fail":"1/2"}`)
	}
	stop := func(k aws.Credentials, query string) (int, string) {
		return g.rest(k, "shardmill", "DELETE", control.PathChaos+query, "")
	}
	g.ok(set(admin, "", "orders"))
	g.ok(set(theirs, other, "orders"))
	g.ok(set(limited, "", "mine-1"))

	for what, try := range map[string]func() (int, string){
		"set for another account":      func() (int, string) { return set(theirs, "", "orders") },
		"set for a stream not its own": func() (int, string) { return set(limited, "", "orders") },
		"end for another account":      func() (int, string) { return stop(theirs, "?stream=orders") },
		"end for a stream not its own": func() (int, string) { return stop(limited, "?stream=orders") },
	} {
		if status, answer := try(); status != 403 {
			t.Errorf("a key may %s: %d %s", what, status, answer)
		}
	}
	for k, want := range map[aws.Credentials]int{admin: 2, theirs: 1} {
		answer := g.ok(g.rest(k, "shardmill", "GET", control.PathChaos, ""))
		if got := strings.Count(answer, `"account"`); got != want {
			t.Errorf("shown are %d streams, want %d: %s", got, want, answer)
		}
	}
	g.ok(stop(limited, ""))
	if answer := g.ok(g.control("GET", control.PathChaos, "")); strings.Count(answer, `"orders"`) != 2 ||
		strings.Contains(answer, "mine-1") {
		t.Errorf("after all that a key may use has ended: %s", answer)
	}
}

// A key with patterns uses the streams that these describe, however it names them; lists show all of the account, as
// those of AWS, which no resource limits.
func TestPatternsOfStreamsHold(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	admin := g.keys[auth.Admin]
	k := g.add("limited", "", auth.Rights{Role: auth.Operate, Streams: []string{"orders-*"}})
	for _, name := range []string{"orders-eu", "secrets"} {
		g.ok(g.call(admin, "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`))
	}
	streamARN := func(name string) string { return "arn:aws:kinesis:us-east-1:000000000000:stream/" + name }
	putRecords := func(name string) string {
		return `{"StreamARN":"` + streamARN(name) + `","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`
	}
	const shard = `,"ShardId":"shardId-000000000000","ShardIteratorType":"LATEST"}`
	iterator := func(k aws.Credentials, name string) string {
		t.Helper()
		answer := g.ok(g.call(k, "kinesis", "Kinesis_20131202.GetShardIterator", `{"StreamName":"`+name+`"`+shard))
		_, token, _ := strings.Cut(answer, `":"`)
		token, _, _ = strings.Cut(token, `"`)
		return token
	}
	iterators := map[string]string{"orders-eu": iterator(k, "orders-eu"), "secrets": iterator(admin, "secrets")}
	for _, name := range []string{"orders-eu", "secrets"} {
		for target, body := range map[string]string{
			"PutRecord":              `{"StreamName":"` + name + `","Data":"YQ==","PartitionKey":"k"}`,
			"PutRecords":             putRecords(name),
			"DescribeStreamSummary":  `{"StreamARN":"` + streamARN(name) + `"}`,
			"ListShards":             `{"StreamName":"` + name + `"}`,
			"GetShardIterator":       `{"StreamName":"` + name + `"` + shard,
			"GetRecords":             `{"ShardIterator":"` + iterators[name] + `"}`,
			"RegisterStreamConsumer": `{"ConsumerName":"c","StreamARN":"` + streamARN(name) + `"}`,
			"AddTagsToStream":        `{"StreamName":"` + name + `","Tags":{"a":"b"}}`,
		} {
			status, answer := g.call(k, "kinesis", "Kinesis_20131202."+target, body)
			if refused := status == 400 && strings.Contains(answer, "AccessDeniedException") && strings.Contains(answer,
				"User: arn:aws:iam::000000000000:user/limited is not authorized to perform: kinesis:"+target+
					" on resource: "+streamARN(name)); refused != (name == "secrets") || !refused && status != 200 {
				t.Errorf("%s of %s: %d %s", target, name, status, answer)
			}
		}
		status, answer := g.rest(k, "lambda", "POST", "/2015-03-31/event-source-mappings",
			`{"EventSourceArn":"`+streamARN(name)+`","FunctionName":"none","StartingPosition":"LATEST"}`)
		denied := status == 403 &&
			strings.Contains(answer, "not authorized to perform: lambda:CreateEventSourceMapping")
		if denied != (name == "secrets") {
			t.Errorf("a mapping of %s: %d %s", name, status, answer)
		}
	}
	if status, answer := g.call(k, "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"mine"}`); status != 400 ||
		!strings.Contains(answer, "AccessDeniedException") {
		t.Errorf("a stream of another name is created: %d %s", status, answer)
	}
	answer := g.ok(g.call(k, "kinesis", "Kinesis_20131202.ListStreams", `{}`))
	if !strings.Contains(answer, "secrets") {
		t.Errorf("a list shows less than the account has: %s", answer)
	}
	g.ok(g.rest(admin, "lambda", "POST", "/2015-03-31/functions", g.functionInput("000000000000")))
	for _, name := range []string{"orders-eu", "secrets"} {
		uuid := uuidOf(t, g.ok(g.rest(admin, "lambda", "POST", "/2015-03-31/event-source-mappings",
			`{"EventSourceArn":"`+streamARN(name)+`","FunctionName":"f","StartingPosition":"LATEST","Enabled":false}`)))
		tags := "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + uuid
		one := "/2015-03-31/event-source-mappings/" + uuid
		for _, c := range []struct{ operation, method, path, body string }{
			{"TagResource", "POST", tags, `{"Tags":{"a":"b"}}`}, {"ListTags", "GET", tags, ""},
			{"UntagResource", "DELETE", tags + "?tagKeys=a", ""}, {"GetEventSourceMapping", "GET", one, ""},
			{"UpdateEventSourceMapping", "PUT", one, `{"BatchSize":7}`}, {"DeleteEventSourceMapping", "DELETE", one, ""},
		} {
			if c.method == "DELETE" && name == "orders-eu" {
				continue // nothing is left to list
			}
			status, answer := g.rest(k, "lambda", c.method, c.path, c.body)
			denied := status == 403 && strings.Contains(answer, "not authorized to perform: lambda:"+c.operation+
				" on resource: "+streamARN(name))
			if denied != (name == "secrets") || !denied && status/100 != 2 {
				t.Errorf("%s of a mapping of %s: %d %s", c.operation, name, status, answer)
			}
		}
		answer := g.ok(g.rest(k, "lambda", "GET", "/2015-03-31/event-source-mappings?EventSourceArn="+streamARN(name), ""))
		if !strings.Contains(answer, uuid) {
			t.Errorf("the mappings of %s: %s", name, answer)
		}
	}
}

// Policies of streams and consumers mean users of the key file by arn:aws:iam::ACCOUNT:user/NAME: those of another
// account are let in, and the owner's own can be kept out.
func TestPoliciesOfStreamsNameUsersOfTheKeyFile(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	admin := g.keys[auth.Admin]
	alice := g.add("alice", "222222222222", auth.Rights{Role: auth.Operate})
	bob := g.add("bob", "222222222222", auth.Rights{Role: auth.Operate})
	const orders = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
	kin := func(k aws.Credentials, operation, body string) (int, string) {
		t.Helper()
		return g.call(k, "kinesis", "Kinesis_20131202."+operation, body)
	}
	share := func(resource, policy string) {
		t.Helper()
		g.ok(kin(admin, "PutResourcePolicy", `{"ResourceARN":"`+resource+`","Policy":`+quoted(policy)+`}`))
	}
	const put = `{"StreamARN":"` + orders + `","Data":"YQ==","PartitionKey":"k"}`
	g.ok(kin(admin, "CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	share(orders, granting("arn:aws:iam::222222222222:user/alice", orders, "kinesis:PutRecord"))

	g.ok(kin(alice, "PutRecord", put))
	if status, answer := kin(bob, "PutRecord", put); status != 400 ||
		!strings.Contains(answer, "AccessDeniedException") ||
		!strings.Contains(answer, "User: arn:aws:iam::222222222222:user/bob is not authorized to perform: "+
			"kinesis:PutRecord on resource: "+orders+" because no resource-based policy allows the kinesis:PutRecord action") {
		t.Errorf("another user of the account: %d %s", status, answer)
	}
	g.ok(kin(g.keys[auth.Produce], "PutRecord", put))
	share(orders, strings.Replace(granting("arn:aws:iam::000000000000:user/produce", orders, "kinesis:PutRecord"),
		`"Allow"`, `"Deny"`, 1))
	if status, answer := kin(g.keys[auth.Produce], "PutRecord", put); status != 400 ||
		!strings.Contains(answer, "User: arn:aws:iam::000000000000:user/produce is not authorized to perform: "+
			"kinesis:PutRecord on resource: "+orders+" with an explicit deny in a resource-based policy") {
		t.Errorf("a user of the owner who is denied: %d %s", status, answer)
	}
	g.ok(kin(admin, "PutRecord", put))

	answer := g.ok(kin(admin, "RegisterStreamConsumer", `{"StreamARN":"`+orders+`","ConsumerName":"c"}`))
	_, consumer, _ := strings.Cut(answer, `"ConsumerARN":"`)
	consumer, _, _ = strings.Cut(consumer, `"`)
	share(consumer, granting("arn:aws:iam::222222222222:user/alice", consumer, "kinesis:DescribeStreamConsumer"))
	g.ok(kin(alice, "DescribeStreamConsumer", `{"ConsumerARN":"`+consumer+`"}`))
	if status, answer := kin(bob, "DescribeStreamConsumer", `{"ConsumerARN":"`+consumer+`"}`); status != 400 ||
		!strings.Contains(answer, "AccessDeniedException") {
		t.Errorf("another user of the account, the consumer: %d %s", status, answer)
	}
}

// Policies of streams mean functions by their roles, and by the sessions in which they call, also where signatures are
// not verified: then the key that was issued is all that says who calls.
func TestPoliciesOfStreamsNameRolesOfFunctions(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	b.ok(b.kin(streamOwner, "CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions", b.functionInput("222222222222")))
	answer := b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions/f/invocations", `"keys"`))
	var k [3]string
	if err := json.Unmarshal([]byte(answer), &k); err != nil {
		t.Fatal(answer, err)
	}
	function := caller{k[0], "us-east-1"}
	for principal, may := range map[string]bool{
		friendsRole: true, "arn:aws:sts::222222222222:assumed-role/r/f": true, "222222222222": true,
		"arn:aws:iam::222222222222:role/other": false, "arn:aws:sts::222222222222:assumed-role/r/g": false,
		"arn:aws:iam::111111111111:role/r": false, "arn:aws:iam::222222222222:user/r": false,
	} {
		b.ok(b.kin(streamOwner, "PutResourcePolicy", `{"ResourceARN":"`+ownersStream+`","Policy":`+
			quoted(granting(principal, ownersStream, "kinesis:PutRecord"))+`}`))

		status, answer := b.kin(function, "PutRecord", `{"StreamARN":"`+ownersStream+`","Data":"YQ==","PartitionKey":"k"}`)

		denied := status == 400 && strings.Contains(answer, "User: arn:aws:sts::222222222222:assumed-role/r/f is not "+
			"authorized to perform: kinesis:PutRecord on resource: "+ownersStream)
		if denied == may || may && status != 200 {
			t.Errorf("%s: %d %s", principal, status, answer)
		}
	}
}

// A key works in its account, and sees nothing of others.
func TestAKeyBelongsToItsAccount(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	other := g.add("other", "111111111111", auth.Rights{Role: auth.Operate})
	g.ok(g.call(g.keys[auth.Admin], "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"s","ShardCount":1}`))
	answer := g.ok(g.call(other, "kinesis", "Kinesis_20131202.ListStreams", `{}`))
	if !strings.Contains(answer, `"StreamNames":[]`) {
		t.Errorf("another account sees %s", answer)
	}
	status, answer := g.rest(other, "shardmill", "GET", "/_shardmill/logs?function=f&account=000000000000", "")
	if status != 403 {
		t.Errorf("another account's logs: %d %s", status, answer)
	}
	// the key of an account is the server's own, and its secret the token of the start
	if status, answer := g.call(aws.Credentials{AccessKeyID: "111111111111", SecretAccessKey: "any"}, "kinesis",
		"Kinesis_20131202.ListStreams", "{}"); status != 400 || !strings.Contains(answer, "InvalidSignatureException") {
		t.Errorf("any secret for an account: %d %s", status, answer)
	}
	g.ok(g.call(aws.Credentials{AccessKeyID: "111111111111", SecretAccessKey: g.s.Token()}, "kinesis",
		"Kinesis_20131202.ListStreams", "{}"))
}

// A function calls with keys of its own, token included, and may do what whoever said last what it does may do now.
func TestAFunctionMayDoWhatItsOwnerMay(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{Dev: true})
	admin := g.keys[auth.Admin]
	limited := g.add("limited", "", auth.Rights{Role: auth.Operate, Streams: []string{"orders-*"}})
	for _, name := range []string{"orders-eu", "secrets"} {
		g.ok(g.call(admin, "kinesis", "Kinesis_20131202.CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`))
	}
	in, err := json.Marshal(map[string]any{
		"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "x", "Role": "arn:aws:iam::000000000000:role/r",
		"Code":        map[string]any{"ZipFile": g.code()},
		"Environment": map[string]any{"Variables": map[string]string{"SERVER_TEST_BOOTSTRAP": "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.ok(g.rest(limited, "lambda", "POST", "/2015-03-31/functions", string(in)))
	keys := func() aws.Credentials {
		t.Helper()
		answer := g.ok(g.rest(admin, "lambda", "POST", "/2015-03-31/functions/f/invocations", `"keys"`))
		var k [3]string
		if err := json.Unmarshal([]byte(answer), &k); err != nil {
			t.Fatal(answer, err)
		}
		return aws.Credentials{AccessKeyID: k[0], SecretAccessKey: k[1], SessionToken: k[2]}
	}
	describe := func(k aws.Credentials, stream string) (int, string) {
		t.Helper()
		return g.call(k, "kinesis", "Kinesis_20131202.DescribeStreamSummary", `{"StreamName":"`+stream+`"}`)
	}
	k := keys()
	g.ok(describe(k, "orders-eu"))
	// in the region that it signs for, whatever its own is
	if status, answer := g.callIn("us-west-2", k, "DescribeStreamSummary", `{"StreamName":"orders-eu"}`); status != 400 ||
		!strings.Contains(answer, "ResourceNotFoundException") {
		t.Errorf("another region: %d %s", status, answer)
	}
	g.ok(g.callIn("us-west-2", k, "CreateStream", `{"StreamName":"orders-west","ShardCount":1}`))
	if status, answer := describe(k, "orders-west"); status != 400 ||
		!strings.Contains(answer, "ResourceNotFoundException") {
		t.Errorf("the stream of another region: %d %s", status, answer)
	}
	if status, answer := describe(k, "secrets"); status != 400 || !strings.Contains(answer,
		"User: arn:aws:sts::000000000000:assumed-role/r/f is not authorized to perform: kinesis:DescribeStreamSummary") {
		t.Errorf("its owner may not: %d %s", status, answer)
	}
	for what, change := range map[string]func(*aws.Credentials){
		"no token":       func(k *aws.Credentials) { k.SessionToken = "" },
		"another token":  func(k *aws.Credentials) { k.SessionToken += "x" },
		"another secret": func(k *aws.Credentials) { k.SecretAccessKey += "x" },
	} {
		wrong := k
		change(&wrong)
		if status, answer := describe(wrong, "orders-eu"); status != 400 || !strings.Contains(answer, "Exception") {
			t.Errorf("with %s: %d %s", what, status, answer)
		}
	}
	// by the clock that functions see
	g.ok(g.control("POST", "/_shardmill/clock", `{"advanceMillis":7200000}`))
	for what, at := range map[string]time.Time{"its clock": g.s.clock.Now(), "the machine's": time.Now()} {
		r := g.request(own{method: "POST", path: "/", body: "{}", headers: []string{
			"X-Amz-Target", "Kinesis_20131202.ListStreams", "Content-Type", "application/x-amz-json-1.1",
		}})
		g.sign(r, k, "kinesis", "{}", at)
		if status, answer := g.send(g.client, r); status != 200 {
			t.Errorf("signed by %s: %d %s", what, status, answer)
		}
	}
	// whoever changes what it does answers for it
	g.ok(g.rest(admin, "lambda", "PUT", "/2015-03-31/functions/f/configuration", `{"Description":"mine"}`))
	g.ok(describe(keys(), "secrets"))
	g.ok(g.rest(limited, "lambda", "PUT", "/2015-03-31/functions/f/configuration", `{"Description":"mine"}`))
	k = keys()
	if err := os.WriteFile(g.s.cfg.Auth.Path(), []byte("keys:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.s.cfg.Auth.Reload(); err != nil {
		t.Fatal(err)
	}
	if status, answer := describe(k, "orders-eu"); status != 400 || !strings.Contains(answer, "AccessDeniedException") {
		t.Errorf("its owner is gone: %d %s", status, answer)
	}
}
