package kinesis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// byARN are the operations that name a stream, with a request for each; %s is the stream's ARN.
var byARN = map[string]string{
	"AddTagsToStream":               `{"StreamARN":%q,"Tags":{"a":"b"}}`,
	"DecreaseStreamRetentionPeriod": `{"StreamARN":%q,"RetentionPeriodHours":24}`,
	"DeleteResourcePolicy":          `{"ResourceARN":%q}`,
	"DeleteStream":                  `{"StreamARN":%q}`,
	"DescribeStream":                `{"StreamARN":%q}`,
	"DescribeStreamSummary":         `{"StreamARN":%q}`,
	"DisableEnhancedMonitoring":     `{"StreamARN":%q,"ShardLevelMetrics":["ALL"]}`,
	"EnableEnhancedMonitoring":      `{"StreamARN":%q,"ShardLevelMetrics":["ALL"]}`,
	"GetResourcePolicy":             `{"ResourceARN":%q}`,
	"GetShardIterator":              `{"StreamARN":%q,"ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`,
	"IncreaseStreamRetentionPeriod": `{"StreamARN":%q,"RetentionPeriodHours":48}`,
	"ListShards":                    `{"StreamARN":%q}`,
	"ListStreamConsumers":           `{"StreamARN":%q}`,
	"ListTagsForResource":           `{"ResourceARN":%q}`,
	"ListTagsForStream":             `{"StreamARN":%q}`,
	"MergeShards":                   `{"StreamARN":%q,"ShardToMerge":"0","AdjacentShardToMerge":"1"}`,
	"PutRecord":                     `{"StreamARN":%q,"PartitionKey":"a","Data":"YQ=="}`,
	"PutRecords":                    `{"StreamARN":%q,"Records":[{"PartitionKey":"a","Data":"YQ=="}]}`,
	"PutResourcePolicy":             `{"ResourceARN":%q,"Policy":"{}"}`,
	"RegisterStreamConsumer":        `{"StreamARN":%q,"ConsumerName":"c"}`,
	"RemoveTagsFromStream":          `{"StreamARN":%q,"TagKeys":["a"]}`,
	"SplitShard":                    `{"StreamARN":%q,"ShardToSplit":"0","NewStartingHashKey":"9"}`,
	"StartStreamEncryption":         `{"StreamARN":%q,"EncryptionType":"KMS","KeyId":"alias/a"}`,
	"StopStreamEncryption":          `{"StreamARN":%q,"EncryptionType":"KMS","KeyId":"alias/a"}`,
	"TagResource":                   `{"ResourceARN":%q,"Tags":{"a":"b"}}`,
	"UntagResource":                 `{"ResourceARN":%q,"TagKeys":["a"]}`,
	"UpdateMaxRecordSize":           `{"StreamARN":%q,"MaxRecordSizeInKiB":2048}`,
	"UpdateShardCount":              `{"StreamARN":%q,"TargetShardCount":4,"ScalingType":"UNIFORM_SCALING"}`,
	"UpdateStreamMode":              `{"StreamARN":%q,"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`,
	"UpdateStreamWarmThroughput":    `{"StreamARN":%q,"WarmThroughputMiBps":8}`,
}

// byConsumerARN are the operations that name a consumer; %s is its ARN.
var byConsumerARN = map[string]string{
	"DeleteResourcePolicy":     `{"ResourceARN":%q}`,
	"DeregisterStreamConsumer": `{"ConsumerARN":%q}`,
	"DescribeStreamConsumer":   `{"ConsumerARN":%q}`,
	"GetResourcePolicy":        `{"ResourceARN":%q}`,
	"PutResourcePolicy":        `{"ResourceARN":%q,"Policy":"{}"}`,
	"ListTagsForResource":      `{"ResourceARN":%q}`,
	"SubscribeToShard":         `{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{"Type":"LATEST"}}`,
	"TagResource":              `{"ResourceARN":%q,"Tags":{"a":"b"}}`,
	"UntagResource":            `{"ResourceARN":%q,"TagKeys":["a"]}`,
}

// byToken are the operations that name none: they are about the caller's account, or take a token, whose tests are
// below.
var byToken = []string{
	"CreateStream", "DescribeAccountSettings", "DescribeLimits", "GetRecords", "ListStreams", "UpdateAccountSettings",
}

func TestEveryOperationIsHeldToItsScope(t *testing.T) {
	t.Parallel()
	for name := range model.Served {
		if byARN[name] == "" && byConsumerARN[name] == "" && !slices.Contains(byToken, name) {
			t.Errorf("%s is served, and no test here sends it the ARN of another region and account", name)
		}
	}
}

// A client of one region names the ARN of another: nothing is read, changed or deleted there, and a stream of the same
// name in its own region is not taken for it.
func TestARequestIsAnsweredByItsOwnRegion(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.region = "us-west-2"
	w.create("s", 2)
	before := w.ok("DescribeStream", `{"StreamName":"s"}`).body
	w.region = "us-east-1"
	w.create("s", 2)
	own := w.ok("DescribeStream", `{"StreamName":"s"}`).body

	for _, op := range slices.Sorted(maps.Keys(byARN)) {
		r := w.call(op, byARN[op], "arn:aws:kinesis:us-west-2:000000000000:stream/s")

		r.fails("ResourceNotFoundException", "Stream s under account 000000000000 not found.")
		if hint := r.header.Get("X-Shardmill-Hint"); !strings.Contains(hint, "us-west-2") {
			t.Errorf("%s: the hint is %q", op, hint)
		}
	}
	if after := w.ok("DescribeStream", `{"StreamName":"s"}`).body; after != own {
		t.Errorf("the own stream was %s, is %s", own, after)
	}
	w.region = "us-west-2"
	if after := w.ok("DescribeStream", `{"StreamName":"s"}`).body; after != before {
		t.Errorf("the other stream was %s, is %s", before, after)
	}
	w.call("PutRecord", byARN["PutRecord"], "arn:aws-cn:kinesis:us-west-2:000000000000:stream/s").fails(
		"InvalidArgumentException", "arn:aws-cn:kinesis:us-west-2:000000000000:stream/s is not the ARN of a stream.")
}

const (
	owner  = "111111111111"
	friend = "222222222222"
	ours   = "arn:aws:kinesis:us-east-1:" + owner + ":stream/s"
)

// policed makes the stream s of the owner, with a policy of these statements; none: no policy.
func policed(t *testing.T, statements ...string) *world {
	w := setup(t)
	w.access = owner
	w.create("s", 2)
	if len(statements) > 0 {
		w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, ours, document(statements...))
	}
	return w
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(principal, action string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":%q},"Action":%q,"Resource":%q}`, principal, action, ours)
}

// Of a stream of another account nothing is told, not even whether it exists. Source: Kinesis Developer Guide, "Share
// your data stream with another account".
func TestAnotherAccountNeedsAPolicy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"s", "none"} {
		w := policed(t)
		before := w.ok("DescribeStream", `{"StreamName":"s"}`).body
		w.access = friend
		arn := "arn:aws:kinesis:us-east-1:" + owner + ":stream/" + name
		for _, op := range slices.Sorted(maps.Keys(byARN)) {
			w.call(op, byARN[op], arn).fails("AccessDeniedException", "User: arn:aws:iam::"+friend+
				":root is not authorized to perform: kinesis:"+op+" on resource: "+arn+
				" because no resource-based policy allows the kinesis:"+op+" action")
		}
		w.access = owner
		if after := w.ok("DescribeStream", `{"StreamName":"s"}`).body; after != before {
			t.Errorf("the stream was %s, is %s", before, after)
		}
	}
}

// What a policy opens can be done, and no more; what only an owner does cannot be opened at all.
func TestAPolicyOpensWhatItNames(t *testing.T) {
	t.Parallel()
	shareable := []string{
		"DescribeStream", "DescribeStreamSummary", "GetShardIterator", "ListShards", "PutRecord", "PutRecords",
	}
	for _, c := range []struct {
		action string
		open   []string
	}{
		{"kinesis:PutRecord", []string{"PutRecord"}},
		{"kinesis:Put*", []string{"PutRecord", "PutRecords"}},
		{"kinesis:*", shareable},
		{"*", shareable},
	} {
		w := policed(t, allow(friend, c.action))
		w.access = friend
		for _, op := range slices.Sorted(maps.Keys(byARN)) {
			r := w.call(op, byARN[op], ours)
			if open := slices.Contains(c.open, op); open != (r.status == 200) ||
				!open && !strings.Contains(r.body, "AccessDeniedException") {
				t.Errorf("%s under a policy that allows %s: %d %s", op, c.action, r.status, r.body)
			}
		}
		w.access = "333333333333"
		if r := w.call("PutRecord", byARN["PutRecord"], ours); !strings.Contains(r.body, "AccessDeniedException") {
			t.Errorf("a third account under a policy that allows %s: %s", c.action, r.body)
		}
	}
}

// A denial holds for everybody whom it means, the owner included, and wins over what allows.
func TestADenialHoldsForTheOwner(t *testing.T) {
	t.Parallel()
	w := policed(t, allow(friend, "kinesis:*"),
		`{"Effect":"Deny","Principal":"*","Action":["kinesis:PutRecord","kinesis:DeleteStream"],"Resource":"*"}`)
	for _, who := range []string{owner, friend} {
		w.access = who
		r := w.call("PutRecord", byARN["PutRecord"], ours)
		r.fails("AccessDeniedException", "User: arn:aws:iam::"+who+
			":root is not authorized to perform: kinesis:PutRecord on resource: "+ours+
			" with an explicit deny in a resource-based policy")
		w.ok("PutRecords", byARN["PutRecords"], ours)
	}
	w.access = owner
	r := w.call("DeleteStream", `{"StreamName":"s"}`)
	if !strings.Contains(r.body, "AccessDeniedException") {
		t.Errorf("the owner deletes by name: %d %s", r.status, r.body)
	}
}

// A consumer is held to its scope as a stream is; its own policy opens it, and its stream's does not. Source: Kinesis
// Developer Guide, "Share your data stream with another account".
func TestConsumersAreHeldToTheirScope(t *testing.T) {
	t.Parallel()
	w := policed(t, allow(friend, "kinesis:*"))
	arn := w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c"}`, ours).get("Consumer", "ConsumerARN")
	ops := slices.Sorted(maps.Keys(byConsumerARN))
	served := slices.DeleteFunc(ops, func(op string) bool { _, ok := model.Served[op]; return !ok })

	w.region = "us-west-2"
	for _, op := range served {
		w.call(op, byConsumerARN[op], arn).fails(
			"ResourceNotFoundException", "Stream s under account "+owner+" not found.")
	}
	w.region, w.access = "us-east-1", friend
	for _, op := range served {
		w.call(op, byConsumerARN[op], arn).fails("AccessDeniedException", "User: arn:aws:iam::"+friend+
			":root is not authorized to perform: kinesis:"+op+" on resource: "+arn+
			" because no resource-based policy allows the kinesis:"+op+" action")
	}
	byName := fmt.Sprintf(`{"StreamARN":%q,"ConsumerName":"c"}`, ours)
	if r := w.call("DescribeStreamConsumer", byName); !strings.Contains(r.body, "AccessDeniedException") {
		t.Errorf("by name: %d %s", r.status, r.body)
	}

	w.access = owner
	share := fmt.Sprintf(
		`{"Effect":"Allow","Principal":{"AWS":%q},"Action":"kinesis:DescribeStreamConsumer","Resource":%q}`, friend, arn)
	w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, arn, document(share))
	w.call("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, arn, document(allow(friend, "kinesis:PutRecord"))).fails(
		"InvalidArgumentException",
		"The policy is not valid: kinesis:putrecord cannot be shared with another account on this resource.")
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, arn).want(document(share), "Policy")
	w.access = friend
	w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, arn)
	w.ok("DescribeStreamConsumer", byName)
	if r := w.call("DeregisterStreamConsumer", byConsumerARN["DeregisterStreamConsumer"], arn); r.status == 200 {
		t.Error("another account deregisters a consumer")
	}
	w.access = owner
	w.ok("DeleteResourcePolicy", `{"ResourceARN":%q}`, arn)
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, arn).want("{}", "Policy")
	w.call("DeleteResourcePolicy", `{"ResourceARN":%q}`, arn).fails(
		"ResourceNotFoundException", "No resource policy found for resource ARN "+arn+".")
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want(document(allow(friend, "kinesis:*")), "Policy")
}

// A consumer's policy denies its owner what it says, as a stream's does.
func TestADenialByAConsumerHoldsForTheOwner(t *testing.T) {
	t.Parallel()
	w := policed(t)
	arn := w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c"}`, ours).get("Consumer", "ConsumerARN")
	w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, arn, document(
		`{"Effect":"Deny","Principal":"*","Action":"kinesis:DeregisterStreamConsumer","Resource":"*"}`))
	r := w.call("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, arn)
	r.fails("AccessDeniedException", "User: arn:aws:iam::"+owner+":root is not authorized to perform: "+
		"kinesis:DeregisterStreamConsumer on resource: "+arn+" with an explicit deny in a resource-based policy")
	w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, arn)
}

// some are the rights of a key that may use streams of one name only.
type some string

func (s some) MayUse(name string) bool { return name == string(s) }

// A key that has other streams uses neither a stream nor its consumers, although their account is its own.
func TestAKeyIsHeldToItsStreams(t *testing.T) {
	t.Parallel()
	w := policed(t)
	name := stream.Name{Account: owner, Region: "us-east-1", Name: "s"}
	consumer := stream.ConsumerNamed(name, "c")
	for rights, allowed := range map[some]bool{"s": true, "t": false} {
		who := stream.Caller{Account: owner, Region: "us-east-1", Rights: rights}
		for _, err := range []error{
			w.streams.Authorize(who, name, "PutRecord"), w.streams.AuthorizeConsumer(who, consumer, "SubscribeToShard"),
		} {
			if (err == nil) != allowed || err != nil && fault.CodeOf(err) != "AccessDeniedException" {
				t.Errorf("a key of stream %s: %v", rights, err)
			}
		}
	}
}

// An iterator is of its region, and reads for those who may read its stream at the time of the read.
func TestIteratorsAreHeldToTheirScope(t *testing.T) {
	t.Parallel()
	w := policed(t)
	w.put("s", "a", "x")
	shard, _ := w.put("s", "a", "y")
	i := w.iterator("s", shard, "TRIM_HORIZON", "")
	const invalid = "Invalid ShardIterator."

	w.region = "us-west-2"
	w.call("GetRecords", `{"ShardIterator":%q}`, i).fails("InvalidArgumentException", invalid)
	w.region, w.access = "us-east-1", friend
	w.call("GetRecords", `{"ShardIterator":%q}`, i).fails("AccessDeniedException", "User: arn:aws:iam::"+friend+
		":root is not authorized to perform: kinesis:GetRecords on resource: "+ours+
		" because no resource-based policy allows the kinesis:GetRecords action")
	w.access = owner
	w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, ours, document(allow(friend, "kinesis:GetRecords")))
	w.access = friend
	if got := w.readKeys(i); got != "a a" {
		t.Errorf("shared, the iterator reads %q", got)
	}
	w.ok("GetRecords", `{"ShardIterator":%q,"StreamARN":%q}`, i, ours)
	w.region = "us-west-2"
	w.call("GetRecords", `{"ShardIterator":%q}`, i).fails("InvalidArgumentException", invalid)
}

// A name and an ARN name the same stream only if account and region are the same, too.
func TestANameAndAnARNNameOneStream(t *testing.T) {
	t.Parallel()
	w := policed(t, allow(friend, "kinesis:*"))
	w.ok("DescribeStreamSummary", `{"StreamName":"s","StreamARN":%q}`, ours)
	w.region = "us-west-2"
	w.create("s", 1)
	const differ = "StreamName and StreamARN do not refer to the same stream."
	w.call("DescribeStreamSummary", `{"StreamName":"s","StreamARN":%q}`, ours).fails("InvalidArgumentException", differ)
	w.region, w.access = "us-east-1", friend
	w.create("s", 1)
	w.call("DescribeStreamSummary", `{"StreamName":"s","StreamARN":%q}`, ours).fails("InvalidArgumentException", differ)
}

// The tokens of lists continue the list of the account and region that they were given to, and no other.
func TestListTokensAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	w := policed(t, allow(friend, "kinesis:ListShards"))
	w.create("t", 1)
	streams := w.ok("ListStreams", `{"Limit":1}`).get("NextToken")
	shards := w.ok("ListShards", `{"StreamName":"s","MaxResults":1}`).get("NextToken")
	foreign := func() {
		t.Helper()
		for op, token := range map[string]string{"ListStreams": streams, "ListShards": shards} {
			w.call(op, `{"NextToken":%q}`, token).fails("InvalidArgumentException", "Invalid NextToken.")
		}
	}

	w.region = "us-west-2"
	foreign()
	w.region, w.access = "us-east-1", friend
	foreign()
	theirs := w.ok("ListShards", `{"StreamARN":%q,"MaxResults":1}`, ours).get("NextToken")
	w.ok("ListShards", `{"NextToken":%q}`, theirs)
	w.access = owner
	w.ok("ListStreams", `{"NextToken":%q}`, streams)
	w.ok("ListShards", `{"NextToken":%q}`, shards)
	w.ok("DeleteResourcePolicy", `{"ResourceARN":%q}`, ours)
	w.access = friend
	r := w.call("ListShards", `{"NextToken":%q}`, theirs)
	if !strings.Contains(r.body, "AccessDeniedException") {
		t.Errorf("a token of a stream that is no longer shared: %d %s", r.status, r.body)
	}
}

// A role is who its key says: a policy that names one opens nothing to the rest of its account.
func TestARoleIsKnownByItsKey(t *testing.T) {
	t.Parallel()
	const guests, key = "000000000000", "ASIAROLE" // the account of keys that name no other
	const role = "arn:aws:iam::" + guests + ":role/reader"
	w := policed(t, allow(role, "kinesis:PutRecord"))
	w.streams.Stop()
	w.reopen(stream.Options{Role: func(accessKey string) string { return map[string]string{key: role}[accessKey] }})

	w.access = guests
	if r := w.call("PutRecord", byARN["PutRecord"], ours); !strings.Contains(r.body, "AccessDeniedException") {
		t.Errorf("the account itself: %d %s", r.status, r.body)
	}
	w.access = key
	w.ok("PutRecord", byARN["PutRecord"], ours)
	r := w.call("PutRecords", byARN["PutRecords"], ours)
	if !strings.Contains(r.body, "AccessDeniedException") || !strings.Contains(r.body, role) {
		t.Errorf("another action of the role: %d %s", r.status, r.body)
	}
}

// O-38: no policy · GetResourcePolicy: 200 {"Policy":"{}"}. O-39: policy put, then deleted · Get: {}; Delete again: 400
// ResourceNotFoundException.
func TestPoliciesAreKeptAsTheyWerePut(t *testing.T) {
	t.Parallel()
	w := policed(t)
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want("{}", "Policy")
	text := " " + document(allow(friend, "kinesis:GetRecords"))
	for range 2 { // replaces what is there
		if r := w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, ours, text); r.body != "" {
			t.Errorf("the answer is %q", r.body)
		}
	}

	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want(text, "Policy")
	w.restart(20000)
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want(text, "Policy")
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"a":"b"}}`)
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want(text, "Policy")

	w.ok("DeleteResourcePolicy", `{"ResourceARN":%q}`, ours)
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want("{}", "Policy")
	w.call("DeleteResourcePolicy", `{"ResourceARN":%q}`, ours).fails(
		"ResourceNotFoundException", "No resource policy found for resource ARN "+ours+".")
	const gone = "arn:aws:kinesis:us-east-1:" + owner + ":stream/gone"
	for _, op := range []string{"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"} {
		w.call(op, byARN[op], gone).fails("ResourceNotFoundException", "Stream gone under account "+owner+" not found.")
	}
}

// A policy that cannot be read, or says something that would have no effect, is refused by name, and the former stays.
func TestPoliciesAreChecked(t *testing.T) {
	t.Parallel()
	w := policed(t, allow(friend, "kinesis:GetRecords"))
	const statement = `{"Effect":"Allow","Principal":"*","Resource":"*",`
	for text, want := range map[string]string{
		"{":         "The policy is not valid: the policy is not JSON.",
		`{}`:        "The policy is not valid: the policy has no Statement.",
		document():  "The policy is not valid: the policy has no Statement.",
		`{"Sid":1}`: `The policy is not valid: the policy has the element "Sid", which is unknown.`,
		document(statement + `"Action":"kinesis:*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`): "The policy is not " +
			"valid: Condition cannot be evaluated by shardmill and would be ignored; leave it out.",
		document(statement + `"Action":["kinesis:GetRecords","kinesis:DeleteStream"]}`): "The policy is not valid: " +
			"kinesis:deletestream cannot be shared with another account on this resource.",
		document(statement + `"Action":"s3:*"}`): "The policy is not valid: " +
			"s3:* cannot be shared with another account on this resource.",
		document(`{"Effect":"Deny","Principal":"*","Resource":"*","Action":"s3:*"}`): "The policy is not valid: " +
			"s3:* is no action of Kinesis Data Streams.",
		strings.Repeat(" ", 20481): "The policy has 20481 bytes; a resource policy has at most 20480.",
	} {
		w.call("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, ours, text).fails("InvalidArgumentException", want)
	}
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, ours).want(document(allow(friend, "kinesis:GetRecords")), "Policy")
	w.call("PutResourcePolicy", `{}`).fails("ValidationException",
		"2 validation errors detected: Value null at 'resourceARN' failed to satisfy constraint: Member must not be null; "+
			"Value null at 'policy' failed to satisfy constraint: Member must not be null")
	w.call("GetResourcePolicy", `{"ResourceARN":"x"}`).fails("ValidationException", "1 validation error detected: "+
		"Value 'x' at 'resourceARN' failed to satisfy constraint: Member must satisfy regular expression pattern: "+
		`arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`)
}
