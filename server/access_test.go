package server

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/eventually"
)

// granting returns a policy that allows a principal some actions.
func granting(principal, resource string, actions ...string) string {
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"AWS": principal}, "Action": actions, "Resource": resource,
	}}})
	return string(text)
}

// quoted returns a text as JSON.
func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

const (
	ownersStream = "arn:aws:kinesis:us-east-1:111111111111:stream/orders"
	friendsRole  = "arn:aws:iam::222222222222:role/r"
)

var streamOwner, streamFriend = caller{"111111111111", "us-east-1"}, caller{"222222222222", "us-east-1"}

// kin calls Kinesis as somebody.
func (b *bench) kin(c caller, operation, body string) (int, string) {
	b.Helper()
	return b.from(c, "kinesis", "POST", "/", body, "X-Amz-Target", "Kinesis_20131202."+operation,
		"Content-Type", "application/x-amz-json-1.1")
}

// maps creates a mapping of the friend's function.
func (b *bench) maps(source string, more string) (int, string) {
	b.Helper()
	return b.from(streamFriend, "lambda", "POST", "/2015-03-31/event-source-mappings",
		`{"FunctionName":"f","StartingPosition":"TRIM_HORIZON","EventSourceArn":"`+source+`"`+more+`}`)
}

// result waits until the LastProcessingResult of the friend's mapping begins with a text.
func (b *bench) result(uuid, want string) {
	b.Helper()
	eventually.Reaches(b.T, want, func() (bool, string) {
		var m struct{ LastProcessingResult string }
		answer := b.ok(b.from(streamFriend, "lambda", "GET", "/2015-03-31/event-source-mappings/"+uuid, ""))
		_ = json.Unmarshal([]byte(answer), &m)
		return strings.HasPrefix(m.LastProcessingResult, want), answer
	})
}

func uuidOf(t *testing.T, answer string) string {
	t.Helper()
	var m struct{ UUID string }
	if err := json.Unmarshal([]byte(answer), &m); err != nil || m.UUID == "" {
		t.Fatalf("no mapping: %s", answer)
	}
	return m.UUID
}

// "Cross-account: the stream's resource policy must grant the function's role; then Create with the foreign ARN works"
// (contract 8.1, V23). The policy is asked again at each read: without it the mapping stands still, says so, and goes
// on where it was once it is allowed again.
func TestAMappingReadsAnotherAccountsStreamByItsPolicy(t *testing.T) {
	t.Parallel()
	observe, _, ended := attempts()
	b := start(t, Config{Observe: observe})
	b.ok(b.kin(streamOwner, "CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions", b.functionInput("222222222222")))
	share := func(principal string, actions ...string) {
		t.Helper()
		b.ok(b.kin(streamOwner, "PutResourcePolicy", `{"ResourceARN":"`+ownersStream+`","Policy":`+
			quoted(granting(principal, ownersStream, actions...))+`}`))
	}
	put := func() {
		t.Helper()
		b.ok(b.kin(streamOwner, "PutRecord", `{"StreamName":"orders","PartitionKey":"k","Data":"AA=="}`))
	}
	needs := []string{"kinesis:DescribeStream", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"}
	refused := func(source string) {
		t.Helper()
		status, answer := b.maps(source, "")
		if status != 400 || !strings.Contains(answer, "Cannot access stream "+source+". Please ensure the role can "+
			"perform the GetRecords, GetShardIterator, DescribeStream, ListShards, and ListStreams Actions on your "+
			"stream in IAM.") {
			t.Errorf("%d %s", status, answer)
		}
	}
	refused(ownersStream)
	refused(ownersStream + "-that-is-not-there")
	for i := range needs {
		share(friendsRole, append(append([]string{}, needs[:i]...), needs[i+1:]...)...)
		refused(ownersStream)
	}
	share("arn:aws:iam::222222222222:role/another", needs...)
	refused(ownersStream)

	share(friendsRole, needs...)
	mapping := uuidOf(t, b.ok(b.maps(ownersStream, "")))
	put()
	<-ended
	b.result(mapping, "OK")

	b.ok(b.kin(streamOwner, "DeleteResourcePolicy", `{"ResourceARN":"`+ownersStream+`"}`))
	put()
	b.result(mapping, "PROBLEM: Cannot access stream "+ownersStream)
	select {
	case <-ended:
		t.Error("it has read what it may not")
	default:
	}

	share("222222222222", "kinesis:*")
	<-ended
	b.result(mapping, "OK")
}

// A denial holds for the role of a function of the stream's own account, too. A mapping of a consumer needs the
// policies of both, stream and consumer.
func TestPoliciesOfStreamAndConsumerHoldForMappings(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	b.ok(b.kin(streamFriend, "CreateStream", `{"StreamName":"own","ShardCount":1}`))
	b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions", b.functionInput("222222222222")))
	const own = "arn:aws:kinesis:us-east-1:222222222222:stream/own"
	deny := `{"Statement":{"Effect":"Deny","Principal":{"AWS":"` + friendsRole +
		`"},"Action":"kinesis:GetRecords","Resource":"*"}}`
	b.ok(b.kin(streamFriend, "PutResourcePolicy", `{"ResourceARN":"`+own+`","Policy":`+quoted(deny)+`}`))
	if status, answer := b.maps(own, ""); status != 400 || !strings.Contains(answer, "Cannot access stream "+own) {
		t.Errorf("a role that is denied: %d %s", status, answer)
	}

	b.ok(b.kin(streamOwner, "CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	var made struct{ Consumer struct{ ConsumerARN string } }
	answer := b.ok(b.kin(streamOwner, "RegisterStreamConsumer", `{"StreamARN":"`+ownersStream+`","ConsumerName":"c"}`))
	if err := json.Unmarshal([]byte(answer), &made); err != nil {
		t.Fatal(err)
	}
	consumer := made.Consumer.ConsumerARN
	share := func(resource string, actions ...string) {
		t.Helper()
		b.ok(b.kin(streamOwner, "PutResourcePolicy", `{"ResourceARN":"`+resource+`","Policy":`+
			quoted(granting(friendsRole, resource, actions...))+`}`))
	}
	for _, step := range []func(){
		func() {},
		func() { share(ownersStream, "kinesis:*") },
		func() { share(consumer, "kinesis:DescribeStreamConsumer") },
		func() { share(consumer, "kinesis:SubscribeToShard") },
		func() { share(consumer, "kinesis:*"); share(ownersStream, "kinesis:ListShards") },
	} {
		step()
		status, answer := b.maps(consumer, "")
		if status != 400 || !strings.Contains(answer, "Cannot access stream "+consumer) {
			t.Errorf("%d %s", status, answer)
		}
	}
	share(ownersStream, "kinesis:ListShards", "kinesis:DescribeStream")
	mapping := uuidOf(t, b.ok(b.maps(consumer, "")))

	share(consumer, "kinesis:DescribeStreamConsumer") // which reads nothing
	b.ok(b.kin(streamOwner, "PutRecord", `{"StreamName":"orders","PartitionKey":"k","Data":"AA=="}`))
	b.result(mapping, "PROBLEM: Cannot access stream ")
}

// What the policy of a queue allows to another account, it may do, in both protocols, and nothing else.
func TestPoliciesOpenQueuesToOtherAccounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	b.ok(b.target(streamOwner, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`))
	queue := `"QueueUrl":"` + b.s.Endpoint() + `/111111111111/q"`
	sqs := func(c caller, operation, members string) (int, string) {
		return b.target(c, "sqs", "AmazonSQS."+operation, "{"+members+"}")
	}
	const arn = "arn:aws:sqs:us-east-1:111111111111:q"
	calls := map[string]string{
		"SendMessage": queue + `,"MessageBody":"x"`, "ReceiveMessage": queue, "PurgeQueue": queue,
		"DeleteMessage": queue + `,"ReceiptHandle":"x"`, "GetQueueAttributes": queue,
		"GetQueueUrl": `"QueueName":"q","QueueOwnerAWSAccountId":"111111111111"`, "DeleteQueue": queue,
		"TagQueue": queue + `,"Tags":{"a":"b"}`, "UntagQueue": queue + `,"TagKeys":["a"]`, "ListQueueTags": queue,
		"AddPermission":    queue + `,"Label":"a","AWSAccountIds":["222222222222"],"Actions":["*"]`,
		"RemovePermission": queue + `,"Label":"a"`, "SetQueueAttributes": queue + `,"Attributes":{"Policy":""}`,
	}
	for operation := range calls {
		status, answer := sqs(streamFriend, operation, calls[operation])
		if status/100 == 2 || operation != "GetQueueUrl" && !strings.Contains(answer, "User: arn:aws:iam::222222222222:root is not authorized to perform: sqs:"+operation+
			" on resource: "+arn+" because no resource-based policy allows the sqs:"+operation+" action") {
			t.Errorf("%s without a policy: %d %s", operation, status, answer)
		}
	}
	b.ok(sqs(streamOwner, "SetQueueAttributes", queue+`,"Attributes":{"Policy":`+
		quoted(granting("222222222222", arn, "sqs:SendMessage", "sqs:GetQueue*"))+`}`))
	for operation, open := range map[string]bool{
		"SendMessage": true, "GetQueueAttributes": true, "GetQueueUrl": true, "ReceiveMessage": false,
		"PurgeQueue": false, "DeleteQueue": false, "SetQueueAttributes": false,
	} {
		if status, answer := sqs(streamFriend, operation, calls[operation]); open != (status == 200) {
			t.Errorf("%s: %d %s", operation, status, answer)
		}
		if status, answer := sqs(caller{"333333333333", "us-east-1"}, operation, calls[operation]); status == 200 {
			t.Errorf("%s of a third account: %s", operation, answer)
		}
	}
	b.ok(b.form(streamFriend, "sqs", "2012-11-05", "SendMessage", "QueueUrl", b.s.Endpoint()+"/111111111111/q",
		"MessageBody", "x"))
	b.ok(b.form(streamOwner, "sqs", "2012-11-05", "AddPermission", "QueueUrl", b.s.Endpoint()+"/111111111111/q",
		"Label", "more", "AWSAccountId.1", "222222222222", "ActionName.1", "ReceiveMessage"))
	_, received := sqs(streamFriend, "ReceiveMessage", calls["ReceiveMessage"])
	if !strings.Contains(received, `"Body":"x"`) {
		t.Errorf("received: %s", received)
	}
	// nobody reaches it from another region
	status, answer := sqs(caller{"222222222222", "eu-west-1"}, "SendMessage", calls["SendMessage"])
	if status != 403 {
		t.Errorf("from another region: %d %s", status, answer)
	}
}

// What the policy of a bucket allows to another account, it may do, and nothing else; who may not list a bucket is not
// told which objects are missing.
func TestPoliciesOpenBucketsToOtherAccounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	s3 := func(c caller, method, path, body string, headers ...string) (int, string) {
		return b.from(c, "s3", method, path, body, headers...)
	}
	b.ok(s3(streamOwner, "PUT", "/shared", ""))
	b.ok(s3(streamOwner, "PUT", "/shared/in/a", "secret"))
	b.ok(s3(streamOwner, "PUT", "/shared/b", "secret"))
	b.ok(s3(streamFriend, "PUT", "/mine", ""))
	type call struct {
		method, path, body string
		headers            []string
	}
	calls := map[string]call{
		"get": {"GET", "/shared/in/a", "", nil}, "head": {"HEAD", "/shared/in/a", "", nil},
		"get elsewhere": {"GET", "/shared/b", "", nil}, "get nothing": {"GET", "/shared/in/none", "", nil},
		"put": {"PUT", "/shared/in/c", "x", nil}, "put with tags": {"PUT", "/shared/in/c", "x", []string{"X-Amz-Tagging", "a=b"}},
		"delete": {"DELETE", "/shared/in/c", "", nil}, "list": {"GET", "/shared?list-type=2", "", nil},
		"copy from":   {"PUT", "/mine/copy", "", []string{"X-Amz-Copy-Source", "/shared/in/a"}},
		"copy beyond": {"PUT", "/mine/copy", "", []string{"X-Amz-Copy-Source", "/shared/b"}},
		"policy":      {"GET", "/shared?policy", "", nil}, "no policy": {"DELETE", "/shared?policy", "", nil},
		"bucket": {"DELETE", "/shared", "", nil}, "location": {"GET", "/shared?location", "", nil},
	}
	expect := func(want map[string]int) {
		t.Helper()
		for what, x := range calls {
			status, answer := s3(streamFriend, x.method, x.path, x.body, x.headers...)
			if w := want[what]; w == 0 && status != 403 || w != 0 && status != w {
				t.Errorf("%s: %d %s", what, status, answer)
			}
			if status, answer := s3(caller{"333333333333", "us-east-1"}, x.method, x.path, x.body); status != 403 {
				t.Errorf("%s by a third account: %d %s", what, status, answer)
			}
		}
	}
	expect(nil)
	b.ok(s3(streamOwner, "PUT", "/shared?policy", granting("222222222222", "arn:aws:s3:::shared/in/*", "s3:GetObject",
		"s3:PutObject")))
	expect(map[string]int{"get": 200, "head": 200, "put": 200, "copy from": 200})
	b.ok(s3(streamOwner, "PUT", "/shared?policy", `{"Statement":[`+
		`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:*","Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]},`+
		`{"Effect":"Deny","Principal":"*","Action":["s3:DeleteBucket","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::shared*"}]}`))
	expect(map[string]int{
		"get": 200, "head": 200, "put": 200, "copy from": 200, "get elsewhere": 200, "get nothing": 404, "list": 200,
		"delete": 204, "copy beyond": 200, "location": 200,
	})
	status, answer := s3(streamOwner, "DELETE", "/shared", "")
	if status != 403 || !strings.Contains(answer, "explicit deny") {
		t.Errorf("the owner deletes the bucket: %d %s", status, answer)
	}
}

// An on-failure destination of another account takes notices while its resource policy lets the function's role send
// there, which is asked when the mapping is made and at each notice: S-82, S-84.
func TestNoticesGoToOtherAccountsByTheirPolicies(t *testing.T) {
	t.Parallel()
	delivered, dropped := make(chan struct{}, 10), make(chan *esm.Dropped, 10)
	b := start(t, Config{Observe: func(o engine.Observation) {
		switch what := o.What.(type) {
		case *esm.NoticeDelivered:
			delivered <- struct{}{}
		case *esm.Dropped:
			dropped <- what
		default: // the test waits for no more
		}
	}})
	b.ok(b.target(streamOwner, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"dead"}`))
	b.ok(b.form(streamOwner, "sns", "2010-03-31", "CreateTopic", "Name", "dead"))
	b.ok(b.from(streamOwner, "s3", "PUT", "/dead", ""))
	b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions", b.functionInput("222222222222")))
	for to, x := range map[string]struct {
		call   string
		policy func(principal string) (int, string)
	}{
		"arn:aws:sqs:us-east-1:111111111111:dead": {"SendMessage on SQS", func(principal string) (int, string) {
			return b.target(streamOwner, "sqs", "AmazonSQS.SetQueueAttributes", `{"QueueUrl":"http://x/111111111111/dead",`+
				`"Attributes":{"Policy":`+quoted(granting(principal, "*", "sqs:SendMessage"))+`}}`)
		}},
		"arn:aws:sns:us-east-1:111111111111:dead": {"Publish on SNS", func(principal string) (int, string) {
			return b.form(streamOwner, "sns", "2010-03-31", "SetTopicAttributes", "TopicArn",
				"arn:aws:sns:us-east-1:111111111111:dead", "AttributeName", "Policy", "AttributeValue",
				granting(principal, "*", "sns:Publish"))
		}},
		"arn:aws:s3:::dead": {"PutObject on S3", func(principal string) (int, string) {
			return b.from(streamOwner, "s3", "PUT", "/dead?policy",
				granting(principal, "arn:aws:s3:::dead/aws/lambda/*", "s3:PutObject"))
		}},
	} {
		name := strings.ReplaceAll(to[len("arn:aws:"):], ":", "-")
		b.ok(b.kin(streamFriend, "CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`))
		put := func() {
			t.Helper()
			b.ok(b.kin(streamFriend, "PutRecord",
				`{"StreamName":"`+name+`","PartitionKey":"fail once","Data":"AA=="}`))
		}
		create := func() (int, string) {
			t.Helper()
			return b.maps("arn:aws:kinesis:us-east-1:222222222222:stream/"+name,
				`,"MaximumRetryAttempts":0,"DestinationConfig":{"OnFailure":{"Destination":"`+to+`"}}`)
		}
		b.ok(x.policy("333333333333"))
		if status, answer := create(); status != 400 || !strings.Contains(answer,
			"The provided execution role does not have permissions to call "+x.call) {
			t.Errorf("%s: %d %s", to, status, answer)
		}
		b.ok(x.policy(friendsRole))
		mapping := uuidOf(t, b.ok(create()))
		put()
		eventually.Comes(t, "a notice", delivered)

		if !strings.Contains(to, "sqs") {
			continue // three tries take their time
		}
		b.ok(x.policy("333333333333"))
		put()
		const why = " is not authorized to perform: "
		got := eventually.Comes(t, "a notice that is given up", dropped)
		if got.Why != esm.DropRefused || !strings.Contains(got.Reason, friendsRole+why) {
			t.Errorf("%s: %s: %s", to, got.Why, got.Reason)
		}
		b.result(mapping, "PROBLEM: The on-failure destination cannot be written: ")
	}
}

// What the policy of a table allows to another account, it may do to the table and to the index that it names, and
// nothing else.
func TestPoliciesOpenTablesToOtherAccounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	const table = "arn:aws:dynamodb:us-east-1:111111111111:table/tab"
	db := func(c caller, operation, body string) (int, string) {
		return b.target(c, "dynamodb", "DynamoDB_20120810."+operation, body)
	}
	b.ok(db(streamOwner, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":`+
		`[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],`+
		`"GlobalSecondaryIndexes":[{"IndexName":"idx","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],`+
		`"Projection":{"ProjectionType":"ALL"}}]}`))
	named := `{"TableName":"` + table + `"`
	const query = `,"KeyConditionExpression":"k = :k","ExpressionAttributeValues":{":k":{"S":"x"}}}`
	calls := map[string][2]string{
		"put": {"PutItem", named + `,"Item":{"k":{"S":"x"}}}`}, "get": {"GetItem", named + `,"Key":{"k":{"S":"x"}}}`},
		"query": {"Query", named + query}, "query the index": {"Query", named + `,"IndexName":"idx"` + query},
		"batch":  {"BatchGetItem", `{"RequestItems":{"` + table + `":{"Keys":[{"k":{"S":"x"}}]}}}`},
		"delete": {"DeleteTable", named + "}"}, "tags": {"ListTagsOfResource", `{"ResourceArn":"` + table + `"}`},
		"policy": {"GetResourcePolicy", `{"ResourceArn":"` + table + `"}`},
	}
	expect := func(open ...string) {
		t.Helper()
		for what, x := range calls {
			status, answer := db(streamFriend, x[0], x[1])
			if may := slices.Contains(open, what); may != (status == 200) ||
				!may && !strings.Contains(answer, "because no resource-based policy allows the dynamodb:"+x[0]+" action") {
				t.Errorf("%s: %d %s", what, status, answer)
			}
			if status, answer := db(caller{"333333333333", "us-east-1"}, x[0], x[1]); status == 200 {
				t.Errorf("%s by a third account: %s", what, answer)
			}
		}
	}
	share := func(resource string, actions ...string) {
		t.Helper()
		b.ok(db(streamOwner, "PutResourcePolicy", `{"ResourceArn":"`+table+`","Policy":`+
			quoted(granting("222222222222", resource, actions...))+`}`))
	}
	expect()
	share(table, "dynamodb:PutItem", "dynamodb:BatchGetItem", "dynamodb:Query")
	expect("put", "batch", "query")
	share(table+"/index/*", "dynamodb:Query")
	expect("query the index")
	share(table, "dynamodb:Get*")
	expect("get", "policy")
}

// A function calls in the name of its role, with the key that it was given, for every service alike: what a policy lets
// the role, it may do, and its account otherwise may not.
func TestAFunctionIsItsRoleForEveryPolicy(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions", b.functionInput("222222222222")))
	var keys [3]string
	answer := b.ok(b.from(streamFriend, "lambda", "POST", "/2015-03-31/functions/f/invocations", `"keys"`))
	if err := json.Unmarshal([]byte(answer), &keys); err != nil {
		t.Fatal(answer, err)
	}
	b.ok(b.kin(streamOwner, "CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.ok(b.target(streamOwner, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q","Attributes":{"Policy":`+
		quoted(granting(friendsRole, "*", "sqs:SendMessage"))+`}}`))
	b.ok(b.form(streamOwner, "sns", "2010-03-31", "CreateTopic", "Name", "t", "Attributes.entry.1.key", "Policy",
		"Attributes.entry.1.value", granting(friendsRole, "*", "sns:Publish")))
	b.ok(b.from(streamOwner, "s3", "PUT", "/shared", ""))
	b.ok(b.from(streamOwner, "s3", "PUT", "/shared?policy",
		granting(friendsRole, "arn:aws:s3:::shared/*", "s3:PutObject")))
	const table = "arn:aws:dynamodb:us-east-1:111111111111:table/tab"
	b.ok(b.target(streamOwner, "dynamodb", "DynamoDB_20120810.CreateTable", `{"TableName":"tab",`+
		`"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],`+
		`"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`))
	b.ok(b.target(streamOwner, "dynamodb", "DynamoDB_20120810.PutResourcePolicy", `{"ResourceArn":"`+table+`","Policy":`+
		quoted(granting(friendsRole, "*", "dynamodb:Scan"))+`}`))
	b.ok(b.kin(streamOwner, "PutResourcePolicy", `{"ResourceARN":"`+ownersStream+`","Policy":`+
		quoted(granting(friendsRole, ownersStream, "kinesis:PutRecord"))+`}`))
	b.ok(b.from(streamOwner, "lambda", "POST", "/2015-03-31/functions", b.functionInput("111111111111")))
	path := "/2015-03-31/functions/" + url.PathEscape("arn:aws:lambda:us-east-1:111111111111:function:f")
	b.ok(b.from(streamOwner, "lambda", "POST", path+"/policy",
		`{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"`+friendsRole+`"}`))

	for service, call := range map[string]func(c caller) (int, string){
		"kinesis": func(c caller) (int, string) {
			return b.kin(c, "PutRecord", `{"StreamARN":"`+ownersStream+`","PartitionKey":"k","Data":"AA=="}`)
		},
		"sqs": func(c caller) (int, string) {
			return b.target(c, "sqs", "AmazonSQS.SendMessage",
				`{"QueueUrl":"`+b.s.Endpoint()+`/111111111111/q","MessageBody":"x"}`)
		},
		"sns": func(c caller) (int, string) {
			return b.form(c, "sns", "2010-03-31", "Publish", "TopicArn", "arn:aws:sns:us-east-1:111111111111:t",
				"Message", "x")
		},
		"s3": func(c caller) (int, string) { return b.from(c, "s3", "PUT", "/shared/k", "x") },
		"dynamodb": func(c caller) (int, string) {
			return b.target(c, "dynamodb", "DynamoDB_20120810.Scan", `{"TableName":"`+table+`"}`)
		},
		"lambda": func(c caller) (int, string) {
			return b.from(c, "lambda", "POST", path+"/invocations", `{}`)
		},
	} {
		if status, answer := call(caller{keys[0], "us-east-1"}); status != 200 {
			t.Errorf("%s by the function: %d %s", service, status, answer)
		}
		status, answer := call(streamFriend)
		if status == 200 || !strings.Contains(answer, "no resource-based policy") {
			t.Errorf("%s by its account: %d %s", service, status, answer)
		}
	}
}

// Who has subscribed a queue of its own to a topic of another account sees and ends the subscription, whatever the
// policy of the topic says by then; nobody else does. Source: SNS API Reference, Unsubscribe.
func TestASubscriptionIsItsSubscribers(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	const topic, queue = "arn:aws:sns:us-east-1:111111111111:t", "arn:aws:sqs:us-east-1:222222222222:q"
	sns := func(c caller, values ...string) (int, string) { return b.form(c, "sns", "2010-03-31", values...) }
	b.ok(sns(streamOwner, "CreateTopic", "Name", "t"))
	b.ok(b.target(streamFriend, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`))
	policy := func(action string) {
		t.Helper()
		b.ok(sns(streamOwner, "SetTopicAttributes", "TopicArn", topic, "AttributeName", "Policy", "AttributeValue",
			granting("222222222222", topic, action)))
	}
	policy("sns:Subscribe")
	subscribe := []string{"Subscribe", "TopicArn", topic, "Protocol", "sqs", "Endpoint", queue}
	if status, answer := sns(streamOwner, subscribe...); status != 400 ||
		!strings.Contains(answer, "which has to subscribe it itself") {
		t.Errorf("the owner of the topic subscribes it: %d %s", status, answer)
	}
	made := b.ok(sns(streamFriend, subscribe...))
	_, rest, _ := strings.Cut(made, "<SubscriptionArn>")
	arn, _, _ := strings.Cut(rest, "<")
	policy("sns:Publish")

	// the queue has to let the topic send, as on AWS
	receives := func(want string) {
		t.Helper()
		b.ok(sns(streamOwner, "Publish", "TopicArn", topic, "Message", "hello"))
		got := b.ok(b.target(streamFriend, "sqs", "AmazonSQS.ReceiveMessage",
			`{"QueueUrl":"`+b.s.Endpoint()+`/222222222222/q","VisibilityTimeout":0}`))
		if !strings.Contains(got, want) || want == "" && strings.Contains(got, "hello") {
			t.Errorf("received %s, want %q", got, want)
		}
	}
	lets := func(source string) {
		t.Helper()
		b.ok(b.target(streamFriend, "sqs", "AmazonSQS.SetQueueAttributes", `{"QueueUrl":"`+b.s.Endpoint()+
			`/222222222222/q","Attributes":{"Policy":`+quoted(`{"Statement":{"Effect":"Allow","Principal":{"Service":`+
			`"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"`+queue+`","Condition":{"ArnEquals":{`+
			`"aws:SourceArn":"`+source+`"}}}}`)+`}}`))
	}
	receives("")
	lets(topic + "-another")
	receives("")
	lets(topic)
	receives("hello")
	stranger := caller{"333333333333", "us-east-1"}
	for _, call := range [][]string{
		{"GetSubscriptionAttributes", "SubscriptionArn", arn},
		{
			"SetSubscriptionAttributes", "SubscriptionArn", arn, "AttributeName", "RawMessageDelivery",
			"AttributeValue", "true",
		},
		{"Unsubscribe", "SubscriptionArn", arn},
	} {
		if status, answer := sns(stranger, call...); status != 403 || !strings.Contains(answer, "AuthorizationError") {
			t.Errorf("%s by a stranger: %d %s", call[0], status, answer)
		}
		b.ok(sns(streamFriend, call...))
	}
	if left := b.ok(sns(streamOwner, "ListSubscriptionsByTopic", "TopicArn", topic)); strings.Contains(left, arn) {
		t.Errorf("after its end: %s", left)
	}
}
