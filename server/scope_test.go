package server

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// caller is an account in a region, in the way in which a request names both.
type caller struct{ account, region string }

// from sends a request that a caller has signed for a service.
func (b *bench) from(c caller, service, method, path, body string, headers ...string) (int, string) {
	b.Helper()
	return b.do(method, path, body, append([]string{
		"Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/%s/%s/aws4_request, "+
			"SignedHeaders=host;x-amz-date, Signature=00", c.account, c.region, service),
		"X-Amz-Date", "20260101T000000Z",
	}, headers...)...)
}

// target calls an operation of a JSON service, form one of the query protocol.
func (b *bench) target(c caller, service, target, body string) (int, string) {
	b.Helper()
	return b.from(c, service, "POST", "/", body, "X-Amz-Target", target, "Content-Type", "application/x-amz-json-1.0")
}

func (b *bench) form(c caller, service, version string, values ...string) (int, string) {
	b.Helper()
	form := url.Values{"Version": {version}, "Action": {values[0]}}
	for i := 1; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	return b.from(c, service, "POST", "/", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// An identifier that names another account, or another region than the request was signed for, gets nobody beyond the
// scope of the request, in no service: neither to read nor to change.
func TestNoIdentifierLeavesTheScopeOfItsRequest(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	owner := caller{"111111111111", "us-east-1"}
	const at = "us-east-1:111111111111:"
	b.ok(b.target(owner, "sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`))
	b.ok(b.form(owner, "sns", "2010-03-31", "CreateTopic", "Name", "t"))
	b.ok(b.target(owner, "dynamodb", "DynamoDB_20120810.CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",`+
		`"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`))
	b.ok(b.target(owner, "logs", "Logs_20140328.CreateLogGroup", `{"logGroupName":"g"}`))
	b.ok(b.from(owner, "s3", "PUT", "/bucket", ""))
	b.ok(b.from(owner, "s3", "PUT", "/bucket/key", "secret"))
	queueURL := b.s.Endpoint() + "/111111111111/q"
	table, topic := "arn:aws:dynamodb:"+at+"table/tab", "arn:aws:sns:"+at+"t"

	type call func(c caller) (int, string)
	json := func(service, target, body string) call {
		return func(c caller) (int, string) { return b.target(c, service, target, body) }
	}
	sns := func(values ...string) call {
		return func(c caller) (int, string) { return b.form(c, "sns", "2010-03-31", values...) }
	}
	s3 := func(method, path string, headers ...string) call {
		return func(c caller) (int, string) { return b.from(c, "s3", method, path, "", headers...) }
	}
	other, elsewhere := caller{"222222222222", "us-east-1"}, caller{"111111111111", "eu-west-1"}
	both := []caller{other, elsewhere}
	for _, x := range []struct {
		what string
		from []caller
		call call
		want string // in each refusal
	}{
		{"send to a queue", both, json("sqs", "AmazonSQS.SendMessage", `{"QueueUrl":"`+queueURL+`","MessageBody":"x"}`), ""},
		{"receive", both, json("sqs", "AmazonSQS.ReceiveMessage", `{"QueueUrl":"`+queueURL+`"}`), ""},
		{"delete a queue", both, json("sqs", "AmazonSQS.DeleteQueue", `{"QueueUrl":"`+queueURL+`"}`), ""},
		{"tags of a queue", both, json("sqs", "AmazonSQS.ListQueueTags", `{"QueueUrl":"`+queueURL+`"}`), ""},
		{"send in a form", []caller{other}, func(c caller) (int, string) {
			return b.form(c, "sqs", "2012-11-05", "SendMessage", "QueueUrl", queueURL, "MessageBody", "x")
		}, "<Code>AccessDenied<"},
		{"send to a path", []caller{other}, func(c caller) (int, string) {
			return b.from(c, "sqs", "POST", "/111111111111/q", "Action=SendMessage&Version=2012-11-05&MessageBody=x",
				"Content-Type", "application/x-www-form-urlencoded")
		}, "<Code>AccessDenied<"},
		{"find a queue", []caller{other}, json(
			"sqs", "AmazonSQS.GetQueueUrl", `{"QueueName":"q","QueueOwnerAWSAccountId":"111111111111"}`,
		), "QueueDoesNotExist"},
		{"publish", both, sns("Publish", "TopicArn", topic, "Message", "x"), ""},
		{"attributes of a topic", both, sns("GetTopicAttributes", "TopicArn", topic), ""},
		{"policy of a topic", both, sns(
			"SetTopicAttributes", "TopicArn", topic, "AttributeName", "Policy", "AttributeValue", "{}",
		), ""},
		{"subscribe", both, sns(
			"Subscribe", "TopicArn", topic, "Protocol", "sqs", "Endpoint", "arn:aws:sqs:us-east-1:222222222222:mine",
		), ""},
		{"delete a topic", both, sns("DeleteTopic", "TopicArn", topic), ""},
		{"tags of a topic", both, sns("ListTagsForResource", "ResourceArn", topic), ""},
		{"put an item", both, json(
			"dynamodb", "DynamoDB_20120810.PutItem", `{"TableName":"`+table+`","Item":{"k":{"S":"x"}}}`,
		), ""},
		{"get items", both, json("dynamodb", "DynamoDB_20120810.BatchGetItem",
			`{"RequestItems":{"`+table+`":{"Keys":[{"k":{"S":"x"}}]}}}`), ""},
		{"scan", []caller{other}, json("dynamodb", "DynamoDB_20120810.Scan", `{"TableName":"`+table+`"}`),
			"User: arn:aws:iam::222222222222:root is not authorized to perform: dynamodb:Scan on resource: " + table +
				" because no resource-based policy allows the dynamodb:Scan action"},
		{"delete a table", both, json("dynamodb", "DynamoDB_20120810.DeleteTable", `{"TableName":"`+table+`"}`), ""},
		{"tags of a table", both, json("dynamodb", "DynamoDB_20120810.ListTagsOfResource", `{"ResourceArn":"`+table+`"}`), ""},
		{"log events", both, json("logs", "Logs_20140328.FilterLogEvents",
			`{"logGroupIdentifier":"arn:aws:logs:`+at+`log-group:g"}`), ""},
		{"tags of logs", both, json("logs", "Logs_20140328.ListTagsForResource",
			`{"resourceArn":"arn:aws:logs:`+at+`log-group:g"}`), ""},
		{"get an object", []caller{other}, s3("GET", "/bucket/key"), "<Code>AccessDenied<"},
		{"get an object elsewhere", []caller{elsewhere}, s3("GET", "/bucket/key"), "<Code>AuthorizationHeaderMalformed<"},
		{"put an object", both, s3("PUT", "/bucket/new"), ""},
		{"list objects", both, s3("GET", "/bucket"), ""},
		{"delete an object", both, s3("DELETE", "/bucket/key"), ""},
		{"delete a bucket", both, s3("DELETE", "/bucket"), ""},
		{"where a bucket is", []caller{other}, s3("GET", "/bucket?location"), "<Code>AccessDenied<"},
	} {
		for _, c := range x.from {
			if status, answer := x.call(c); status/100 == 2 || !strings.Contains(answer, x.want) {
				t.Errorf("%s of %s: %d %s", x.what, c, status, answer)
			}
		}
	}
	b.ok(b.from(other, "s3", "PUT", "/mine", ""))
	status, answer := b.from(other, "s3", "PUT", "/mine/copy", "", "X-Amz-Copy-Source", "/bucket/key")
	if status != 403 {
		t.Errorf("a copy of another account's object: %d %s", status, answer)
	}
	// all is as it was
	for _, untouched := range []func() (int, string){
		func() (int, string) { return s3("GET", "/bucket/key")(owner) },
		func() (int, string) { return sns("GetTopicAttributes", "TopicArn", topic)(owner) },
		func() (int, string) {
			return json("dynamodb", "DynamoDB_20120810.DescribeTable", `{"TableName":"`+table+`"}`)(owner)
		},
		func() (int, string) {
			return json("logs", "Logs_20140328.ListTagsForResource", `{"resourceArn":"arn:aws:logs:`+at+`log-group:g"}`)(owner)
		},
	} {
		b.ok(untouched())
	}
	got := b.ok(json("sqs", "AmazonSQS.GetQueueAttributes",
		`{"QueueUrl":"`+queueURL+`","AttributeNames":["ApproximateNumberOfMessages"]}`)(owner))
	if !strings.Contains(got, `"ApproximateNumberOfMessages":"0"`) {
		t.Errorf("the queue: %s", got)
	}
	if got := b.ok(json("dynamodb", "DynamoDB_20120810.Scan", `{"TableName":"tab"}`)(owner)); !strings.Contains(got, `"Count":0`) {
		t.Errorf("the table: %s", got)
	}
}

// An ARN of another region is not read as one of the request's own, where things of the same names may be.
func TestAnARNOfAnotherRegionMeansNothingHere(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	here, there := caller{"111111111111", "eu-west-1"}, caller{"111111111111", "us-east-1"}
	dynamo := func(c caller, operation, body string) (int, string) {
		return b.target(c, "dynamodb", "DynamoDB_20120810."+operation, body)
	}
	logs := func(operation, body string) (int, string) {
		return b.target(here, "logs", "Logs_20140328."+operation, body)
	}
	sns := func(values ...string) (int, string) { return b.form(here, "sns", "2010-03-31", values...) }
	lambda := func(method, path, body string) (int, string) { return b.from(here, "lambda", method, path, body) }
	for _, c := range []caller{here, there} {
		b.ok(dynamo(c, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":`+
			`[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`))
		b.ok(b.target(c, "logs", "Logs_20140328.CreateLogGroup", `{"logGroupName":"g"}`))
		b.ok(b.form(c, "sns", "2010-03-31", "CreateTopic", "Name", "t"))
		b.ok(b.from(c, "lambda", "POST", "/2015-03-31/functions", b.functionInput(c.account)))
	}
	const at = "us-east-1:111111111111:"
	const table, group, topic = "arn:aws:dynamodb:" + at + "table/tab", "arn:aws:logs:" + at + "log-group:g", "arn:aws:sns:" + at + "t"
	function := url.PathEscape("arn:aws:lambda:" + at + "function:f")

	for what, call := range map[string]func() (int, string){
		"put an item": func() (int, string) {
			return dynamo(here, "PutItem", `{"TableName":"`+table+`","Item":{"k":{"S":"x"}}}`)
		},
		"describe a table": func() (int, string) { return dynamo(here, "DescribeTable", `{"TableName":"`+table+`"}`) },
		"tag a table": func() (int, string) {
			return dynamo(here, "TagResource", `{"ResourceArn":"`+table+`","Tags":[{"Key":"a","Value":"b"}]}`)
		},
		"delete a table": func() (int, string) { return dynamo(here, "DeleteTable", `{"TableName":"`+table+`"}`) },
		"read events":    func() (int, string) { return logs("FilterLogEvents", `{"logGroupIdentifier":"`+group+`"}`) },
		"tag a group": func() (int, string) {
			return logs("TagResource", `{"resourceArn":"`+group+`","tags":{"a":"b"}}`)
		},
		"tags of a group":       func() (int, string) { return logs("ListTagsForResource", `{"resourceArn":"`+group+`"}`) },
		"publish":               func() (int, string) { return sns("Publish", "TopicArn", topic, "Message", "x") },
		"attributes of a topic": func() (int, string) { return sns("GetTopicAttributes", "TopicArn", topic) },
		"delete a topic":        func() (int, string) { return sns("DeleteTopic", "TopicArn", topic) },
		"tags of a function":    func() (int, string) { return lambda("GET", "/2017-03-31/tags/"+function, "") },
		"tag a function": func() (int, string) {
			return lambda("POST", "/2017-03-31/tags/"+function, `{"Tags":{"a":"b"}}`)
		},
		"get a function": func() (int, string) { return lambda("GET", "/2015-03-31/functions/"+function, "") },
		"invoke": func() (int, string) {
			return lambda("POST", "/2015-03-31/functions/"+function+"/invocations", "{}")
		},
		"delete a function": func() (int, string) { return lambda("DELETE", "/2015-03-31/functions/"+function, "") },
	} {
		if status, answer := call(); status/100 == 2 {
			t.Errorf("%s: %d %s", what, status, answer)
		}
	}
	for _, c := range []caller{here, there} {
		if got := b.ok(dynamo(c, "Scan", `{"TableName":"tab"}`)); !strings.Contains(got, `"Count":0`) {
			t.Errorf("the table in %s: %s", c.region, got)
		}
		got := b.ok(b.target(c, "logs", "Logs_20140328.ListTagsLogGroup", `{"logGroupName":"g"}`))
		if !strings.Contains(got, `"tags":{}`) {
			t.Errorf("the group in %s: %s", c.region, got)
		}
		if got := b.ok(b.from(c, "lambda", "GET", "/2015-03-31/functions/f", "")); strings.Contains(got, `"Tags"`) {
			t.Errorf("the function in %s: %s", c.region, got)
		}
	}
}

// A mapping reads a stream of its own region, and neither a mapping nor a topic sends to another account: nothing there
// could have allowed it.
func TestMappingsAndTopicsStayInTheirScope(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	me := caller{"111111111111", "us-east-1"}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		b.ok(b.from(caller{"111111111111", region}, "kinesis", "POST", "/", `{"StreamName":"s","ShardCount":1}`,
			"X-Amz-Target", "Kinesis_20131202.CreateStream", "Content-Type", "application/x-amz-json-1.1"))
	}
	b.ok(b.from(me, "lambda", "POST", "/2015-03-31/functions", b.functionInput("111111111111")))
	create := func(streamRegion, destination string) (int, string) {
		t.Helper()
		on := ""
		if destination != "" {
			on = `,"DestinationConfig":{"OnFailure":{"Destination":"` + destination + `"}}`
		}
		return b.from(me, "lambda", "POST", "/2015-03-31/event-source-mappings", `{"FunctionName":"f","StartingPosition":"LATEST",`+
			`"EventSourceArn":"arn:aws:kinesis:`+streamRegion+`:111111111111:stream/s"`+on+`}`)
	}
	for what, x := range map[string]struct{ region, destination string }{
		"a stream of another region": {"eu-west-1", ""},
		"a queue of another account": {"us-east-1", "arn:aws:sqs:us-east-1:222222222222:q"},
		"a topic of another account": {"us-east-1", "arn:aws:sns:us-east-1:222222222222:t"},
		"a queue of another region":  {"us-east-1", "arn:aws:sqs:eu-west-1:111111111111:q"},
	} {
		if status, answer := create(x.region, x.destination); status != 400 ||
			!strings.Contains(answer, "Stream not found") && !strings.Contains(answer, "does not have permissions") {
			t.Errorf("%s: %d %s", what, status, answer)
		}
	}
	b.ok(create("us-east-1", "arn:aws:sqs:us-east-1:111111111111:q"))
	b.ok(b.form(me, "sns", "2010-03-31", "CreateTopic", "Name", "t"))
	if status, answer := b.form(me, "sns", "2010-03-31", "Subscribe", "TopicArn", "arn:aws:sns:us-east-1:111111111111:t",
		"Protocol", "sqs", "Endpoint", "arn:aws:sqs:us-east-1:222222222222:q"); status/100 == 2 {
		t.Errorf("a subscription of another account's queue: %d %s", status, answer)
	}
}

// What the policy of a topic, or the permissions of a function, allow to another account, it may do, and nothing else.
func TestPoliciesOpenTopicsAndFunctionsToOtherAccounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	owner, friend := caller{"111111111111", "us-east-1"}, caller{"222222222222", "us-east-1"}
	stranger := caller{"333333333333", "us-east-1"}
	const topic = "arn:aws:sns:us-east-1:111111111111:t"
	b.ok(b.form(owner, "sns", "2010-03-31", "CreateTopic", "Name", "t"))
	policy := func(more string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},` +
			`"Action":"sns:Publish","Resource":"` + topic + `"` + more + `}]}`
	}
	set := func(text string) {
		t.Helper()
		b.ok(b.form(owner, "sns", "2010-03-31", "SetTopicAttributes", "TopicArn", topic, "AttributeName", "Policy",
			"AttributeValue", text))
	}
	publish := func(c caller) int {
		t.Helper()
		status, _ := b.form(c, "sns", "2010-03-31", "Publish", "TopicArn", topic, "Message", "x")
		return status
	}
	set(policy(""))
	if publish(friend) != 200 || publish(stranger) != 403 || publish(owner) != 200 {
		t.Errorf("friend %d, stranger %d, owner %d", publish(friend), publish(stranger), publish(owner))
	}
	if status, answer := b.form(friend, "sns", "2010-03-31", "DeleteTopic", "TopicArn", topic); status != 403 ||
		!strings.Contains(answer, "<Code>AuthorizationError<") {
		t.Errorf("a friend deletes it: %d %s", status, answer)
	}
	// which is not evaluated, and so allows nothing
	set(policy(`,"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}`))
	if publish(friend) != 403 {
		t.Error("a condition that nobody evaluates allows")
	}

	b.ok(b.from(owner, "lambda", "POST", "/2015-03-31/functions", b.functionInput("111111111111")))
	path := "/2015-03-31/functions/" + url.PathEscape("arn:aws:lambda:us-east-1:111111111111:function:f")
	invoke := func(c caller) (int, string) { return b.from(c, "lambda", "POST", path+"/invocations", `{}`) }
	if status, answer := invoke(friend); status != 403 || !strings.Contains(answer,
		"User: arn:aws:iam::222222222222:root is not authorized to perform: lambda:InvokeFunction on resource: "+
			"arn:aws:lambda:us-east-1:111111111111:function:f because no resource-based policy allows") {
		t.Errorf("before: %d %s", status, answer)
	}
	b.ok(b.from(owner, "lambda", "POST", path+"/policy",
		`{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"222222222222"}`))
	b.ok(invoke(friend))
	if status, answer := invoke(stranger); status != 403 {
		t.Errorf("a stranger: %d %s", status, answer)
	}
	if status, answer := b.from(friend, "lambda", "DELETE", path, ""); status != 403 {
		t.Errorf("a friend deletes it: %d %s", status, answer)
	}
	status, answer := b.from(caller{"222222222222", "eu-west-1"}, "lambda", "POST", path+"/invocations", `{}`)
	if status != 404 {
		t.Errorf("from another region: %d %s", status, answer)
	}
}
