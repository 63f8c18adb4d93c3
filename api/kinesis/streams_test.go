package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// O-01, O-02
func TestTheShardCountDecidesTheMode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ok("CreateStream", `{"StreamName":"d"}`)
	w.ok("CreateStream", `{"StreamName":"p","ShardCount":2}`)
	w.ok(
		"CreateStream",
		`{"StreamName":"o","ShardCount":9,"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"MaxRecordSizeInKiB":2048}`,
	)

	for name, want := range map[string][3]string{
		"d": {"ON_DEMAND", "4", "1024"}, "p": {"PROVISIONED", "2", "1024"}, "o": {"ON_DEMAND", "4", "2048"},
	} {
		r := w.ok("DescribeStreamSummary", `{"StreamName":%q}`, name)
		r.want(want[0], "StreamDescriptionSummary", "StreamModeDetails", "StreamMode")
		r.want(want[1], "StreamDescriptionSummary", "OpenShardCount")
		r.want(want[2], "StreamDescriptionSummary", "MaxRecordSizeInKiB")
		r.want("ACTIVE", "StreamDescriptionSummary", "StreamStatus")
		r.want("0", "StreamDescriptionSummary", "ConsumerCount")
		r.want("arn:aws:kinesis:us-east-1:000000000000:stream/"+name, "StreamDescriptionSummary", "StreamARN")
	}
	ids := w.ok("ListShards", `{"StreamName":"p"}`).each("Shards", "ShardId")
	if !slices.Equal(ids, []string{"shardId-000000000000", "shardId-000000000001"}) {
		t.Errorf("shards are %v", ids)
	}
	w.call("CreateStream", `{"StreamName":"x","StreamModeDetails":{"StreamMode":"PROVISIONED"}}`).
		fails("InvalidArgumentException", "ShardCount must be provided for provisioned streams.")
	w.call("CreateStream", `{"StreamName":"x","WarmThroughputMiBps":5}`).
		fails(
			"InvalidArgumentException",
			"WarmThroughputMiBps needs an account whose MinimumThroughputBillingCommitment is enabled; account 000000000000 has it disabled.",
		)
}

func TestDescribeStreamShowsTheWholeStream(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	r := w.ok("DescribeStream", `{"StreamName":"s"}`)

	shard := r.get("StreamDescription", "Shards", 0)
	created := r.get("StreamDescription", "StreamCreationTimestamp")
	want := `{"StreamDescription":{"EncryptionType":"NONE","EnhancedMonitoring":[{"ShardLevelMetrics":[]}],"HasMoreShards":false,"RetentionPeriodHours":24,"Shards":[` +
		shard + `],"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","StreamCreationTimestamp":` + created +
		`,"StreamModeDetails":{"StreamMode":"PROVISIONED"},"StreamName":"s","StreamStatus":"ACTIVE"}}`
	if got := r.get(); got != want {
		t.Errorf("the answer is %s\nwant %s", got, want)
	}
}

// O-03
func TestNamesAreTakenOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	w.call("CreateStream", `{"StreamName":"s","ShardCount":1}`).fails(
		"ResourceInUseException", "Stream s under account 000000000000 already exists.",
	)
}

// O-04
func TestTheShardQuotaIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.restart(50)
	w.create("a", 2)
	w.create("b", 1)
	w.ok("CreateStream", `{"StreamName":"d"}`) // on-demand shards do not count

	w.call("CreateStream", `{"StreamName":"s","ShardCount":100000}`).fails("LimitExceededException",
		"This request would exceed the shard limit for the account 000000000000 in us-east-1. Current shard count for the account: 3. Limit: 50. "+
			"Number of additional shards that would have resulted from this request: 100000. Refer to the AWS Service Limits page "+
			"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.")
	w.create("s", 47)
	w.region = "eu-west-1"
	w.create("s", 50)
}

func TestTheOnDemandQuotaIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 50 {
		w.ok("CreateStream", `{"StreamName":"d%d"}`, i)
	}

	w.call("CreateStream", `{"StreamName":"d50"}`).fails("LimitExceededException",
		"This request would exceed the on-demand stream limit for the account 000000000000 in us-east-1. Current on-demand stream count for the account: 50. Limit: 50.")
}

// O-11
func TestDeletedStreamsAreGone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	w.put("s", "a", "x")
	token := w.ok("ListShards", `{"StreamName":"s","MaxResults":1}`).get("NextToken")

	r := w.ok("DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":false}`)

	if r.body != "" {
		t.Error(r.body)
	}
	const gone = "Stream s under account 000000000000 not found."
	w.call("DeleteStream", `{"StreamName":"s"}`).fails("ResourceNotFoundException", gone)
	w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":""}`).fails("ResourceNotFoundException", gone)
	w.call("PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""}]}`).fails(
		"ResourceNotFoundException", gone,
	)
	w.call("ListShards", `{"StreamName":"s"}`).fails("ResourceNotFoundException", gone)
	w.call("ListShards", `{"NextToken":%q}`, token).fails("ResourceNotFoundException", gone)
	w.call("ListTagsForStream", `{"StreamName":"s"}`).fails("ResourceNotFoundException", gone)
	w.create("s", 1)
	if got := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); got != "" {
		t.Errorf("the new stream holds %q", got)
	}
}

// O-12, O-13
func TestListStreamsPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var want []string
	for i := range 150 {
		want = append(want, fmt.Sprintf("s%03d", 149-i))
		w.create(want[i], 1)
	}
	slices.Sort(want)

	first := w.ok("ListStreams", `{}`)
	second := w.ok("ListStreams", `{"NextToken":%q}`, first.get("NextToken"))

	first.want("true", "HasMoreStreams")
	second.want("false", "HasMoreStreams")
	second.want("", "NextToken")
	for page, r := range []reply{first, second} {
		for i := range []int{100, 50}[page] {
			r.want(want[page*100+i], "StreamNames", i)
			r.want(want[page*100+i], "StreamSummaries", i, "StreamName")
		}
		r.want("", "StreamNames", []int{100, 50}[page])
	}
	second.want("ACTIVE", "StreamSummaries", 0, "StreamStatus")
	// O-13: the start need not exist
	w.ok("ListStreams", `{"ExclusiveStartStreamName":"s148x"}`).want(`["s149"]`, "StreamNames")
	w.ok("ListStreams", `{"Limit":2}`).want(`["s000","s001"]`, "StreamNames")
	// NextToken wins over another start
	w.ok("ListStreams", `{"NextToken":%q,"ExclusiveStartStreamName":"s148","Limit":1}`, first.get("NextToken")).want(
		`["s100"]`, "StreamNames")
	w.advance(300*time.Second + time.Millisecond)
	w.call("ListStreams", `{"NextToken":%q}`, first.get("NextToken")).failsLike(
		"ExpiredNextTokenException", "NextToken expired…",
		func(m string) bool { return strings.HasPrefix(m, "NextToken expired.") },
	)
	w.call("ListStreams", `{"NextToken":"aaaa"}`).fails("InvalidArgumentException", "Invalid NextToken.")
}

// O-14
func TestDescribeStreamPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 120)
	shards := func(r reply) (n int) {
		for r.get("StreamDescription", "Shards", n) != "" {
			n++
		}
		return n
	}

	first := w.ok("DescribeStream", `{"StreamName":"s"}`)
	second := w.ok("DescribeStream", `{"StreamName":"s","ExclusiveStartShardId":"shardId-000000000099"}`)
	third := w.ok("DescribeStream", `{"StreamName":"s","Limit":7}`)
	exact := w.ok("DescribeStream", `{"StreamName":"s","ExclusiveStartShardId":"shardId-000000000099","Limit":20}`)

	for i, r := range []reply{first, second, third, exact} {
		r.want([]string{"true", "false", "true", "false"}[i], "StreamDescription", "HasMoreShards")
		if n := shards(r); n != []int{100, 20, 7, 20}[i] {
			t.Errorf("page %d has %d shards", i, n)
		}
	}
	second.want("shardId-000000000100", "StreamDescription", "Shards", 0, "ShardId")
}

// O-15, O-16, O-17, O-18
func TestListShardsPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1266)

	first := w.ok("ListShards", `{"StreamName":"s","MaxResults":10000}`)
	token := first.get("NextToken")
	second := w.ok("ListShards", `{"NextToken":%q,"MaxResults":1000}`, token)

	if a, b := len(first.each("Shards", "ShardId")), len(second.each("Shards", "ShardId")); a != 1000 || b != 266 {
		t.Errorf("pages of %d and %d shards", a, b)
	}
	second.want("shardId-000000001000", "Shards", 0, "ShardId")
	second.want("", "NextToken")
	for member, value := range map[string]string{
		"StreamName": `"s"`, "StreamARN": `"arn:aws:kinesis:us-east-1:000000000000:stream/s"`,
		"ShardFilter":           `{"Type":"AT_LATEST"}`,
		"ExclusiveStartShardId": `"shardId-000000000000"`, "StreamCreationTimestamp": `1`,
	} {
		r := w.call("ListShards", `{"NextToken":%q,%q:%s}`, token, member, value)
		r.fails("InvalidArgumentException", "NextToken and "+member+" cannot be provided together.")
		if !strings.Contains(r.header.Get("x-shardmill-hint"), "--no-paginate") {
			t.Errorf("%s: the hint is %q", member, r.header.Get("x-shardmill-hint"))
		}
	}
	w.call("ListShards", `{}`).fails("InvalidArgumentException", "Either NextToken or StreamName should be provided.")
	w.call("ListShards", `{"NextToken":"aaaa"}`).fails("InvalidArgumentException", "Invalid NextToken.")
	w.advance(300*time.Second + time.Millisecond)
	w.call("ListShards", `{"NextToken":%q}`, token).failsLike(
		"ExpiredNextTokenException", "NextToken expired…",
		func(m string) bool { return strings.HasPrefix(m, "NextToken expired.") },
	)
}

// NextToken stands for everything but MaxResults: the next page has the same filter, and its timestamp. O-18: a token
// is good for 300 s, to the millisecond.
func TestPagesKeepTheirFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 3)
		w.streams.Stop()
		before := w.clock.Now()
		w.advance(time.Minute)
		w.ok("SplitShard", `{"StreamName":"s","ShardToSplit":"1","NewStartingHashKey":"170141183460469231731687303715884105728"}`)
		w.advance(time.Minute)
		for filter, want := range map[string]string{
			`{"Type":"AT_LATEST"}`:         "0 2 3 4",
			`{"Type":"FROM_TRIM_HORIZON"}`: "0 1 2 3 4",
			fmt.Sprintf(`{"Type":"AT_TIMESTAMP","Timestamp":%d}`, before.Unix()): "0 1 2",
		} {
			var got []string
			r := w.ok("ListShards", `{"StreamName":"s","MaxResults":1,"ShardFilter":%s}`, filter)
			for {
				got = append(got, strings.TrimPrefix(r.get("Shards", 0, "ShardId"), "shardId-00000000000"))
				token := r.get("NextToken")
				if token == "" {
					break
				}
				r = w.ok("ListShards", `{"MaxResults":1,"NextToken":%q}`, token)
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("%s: %s, want %s", filter, text, want)
			}
		}
		token := w.ok("ListShards", `{"StreamName":"s","MaxResults":1}`).get("NextToken")
		w.advance(300 * time.Second)
		w.ok("ListShards", `{"NextToken":%q}`, token)
		w.advance(time.Millisecond)
		r := w.call("ListShards", `{"NextToken":%q}`, token)
		if !strings.Contains(r.body, "ExpiredNextTokenException") {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}

func TestAListTokenIsNoIteratorAndTheReverse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	token := w.ok("ListShards", `{"StreamName":"s","MaxResults":1}`).get("NextToken")

	w.call("GetRecords", `{"ShardIterator":%q}`, token).fails("InvalidArgumentException", "Invalid ShardIterator.")
	w.call("ListShards", `{"NextToken":%q}`, w.iterator("s", "0", "LATEST", "")).fails(
		"InvalidArgumentException", "Invalid NextToken.",
	)
	w.call("ListStreams", `{"NextToken":%q}`, token).fails("InvalidArgumentException", "Invalid NextToken.")
}

// O-19, O-20, O-21
func TestShardFilters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	created := w.clock.Now()
	w.advance(time.Minute)
	at := w.clock.Now()
	w.split("s", 0)
	w.advance(time.Minute)
	stamp := func(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

	for _, c := range []struct{ filter, want string }{
		{`"Type":"AT_LATEST"`, "1 2"},                                                 // O-19
		{`"Type":"FROM_TRIM_HORIZON"`, "0 1 2"},                                       // O-19
		{`"Type":"AFTER_SHARD_ID","ShardId":"shardId-000000000001"`, "2"},             // O-19
		{`"Type":"AT_TRIM_HORIZON"`, "0"},                                             // O-20
		{`"Type":"AT_TIMESTAMP","Timestamp":` + stamp(at.Add(-10*time.Second)), "0"},  // O-21
		{`"Type":"AT_TIMESTAMP","Timestamp":` + stamp(at.Add(10*time.Second)), "1 2"}, // O-21
		// no gap before the children count as created
		{`"Type":"AT_TIMESTAMP","Timestamp":` + stamp(at.Add(500*time.Millisecond)), "1 2"},
		{`"Type":"FROM_TIMESTAMP","Timestamp":` + stamp(at.Add(-10*time.Second)), "0 1 2"},
		{`"Type":"FROM_TIMESTAMP","Timestamp":` + stamp(at.Add(10*time.Second)), "1 2"},
		{`"Type":"FROM_TIMESTAMP","Timestamp":` + stamp(created.Add(-time.Hour)), "0 1 2"},
	} {
		var got []string
		for _, id := range w.ok(
			"ListShards", `{"StreamName":"s","ShardFilter":{%s}}`, c.filter,
		).each("Shards", "ShardId") {
			got = append(
				got,
				strings.TrimLeft(strings.TrimPrefix(id, "shardId-"), "0")+strings.Repeat(
					"0", strings.Count(id[19:], "0"),
				),
			)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s answers %v, want %s", c.filter, got, c.want)
		}
		// the same in pages of one
		page := w.ok("ListShards", `{"StreamName":"s","MaxResults":1,"ShardFilter":{%s}}`, c.filter)
		n := len(page.each("Shards", "ShardId"))
		for page.get("NextToken") != "" {
			page = w.ok("ListShards", `{"MaxResults":1,"NextToken":%q}`, page.get("NextToken"))
			n += len(page.each("Shards", "ShardId"))
		}
		if n != len(got) {
			t.Errorf("%s answers %d shards in pages, %d at once", c.filter, n, len(got))
		}
	}
	w.call("ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AFTER_SHARD_ID"}}`).fails(
		"InvalidArgumentException", "ShardId must be provided for a ShardFilter of type AFTER_SHARD_ID.",
	)
	w.call("ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP"}}`).fails(
		"InvalidArgumentException", "Timestamp must be provided for a ShardFilter of type AT_TIMESTAMP.",
	)
}

func TestStreamCreationTimestampTellsNamesakesApart(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	created := w.ok("DescribeStream", `{"StreamName":"s"}`).get("StreamDescription", "StreamCreationTimestamp")

	w.ok("ListShards", `{"StreamName":"s","StreamCreationTimestamp":%s}`, created)
	w.call("ListShards", `{"StreamName":"s","StreamCreationTimestamp":1}`).fails(
		"ResourceNotFoundException", "Stream s under account 000000000000 not found.",
	)
}

// O-32, O-33, O-34
func TestTagsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	add := func(tags string) reply { return w.call("AddTagsToStream", `{"StreamName":"s","Tags":%s}`, tags) }
	const invalid = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."

	for _, tags := range []string{`{"a;b":"c"}`, `{"a":"b,c"}`, `{"a\tb":"c"}`} { // O-32
		add(tags).fails("InvalidArgumentException", invalid)
	}
	add(`{"a%%":"b"}`).fails("InvalidArgumentException", // O-33; the format doubles the sign
		"Failed to add tags to stream s under account 000000000000 because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.")
	add(`{"aws:x":"b"}`).fails(
		"InvalidArgumentException", "Tag keys that begin with aws: are reserved; aws:x was given.",
	)
	w.call("AddTagsToStream", `{"StreamName":"q","Tags":{"a;b":"c"}}`).fails(
		"ResourceNotFoundException", "Stream q under account 000000000000 not found.",
	)

	var tooMany []string
	for i := range 201 {
		tooMany = append(tooMany, fmt.Sprintf(`"%d":""`, i))
	}
	add("{"+strings.Join(tooMany, ",")+"}").failsLike("ValidationException", "too many tags", func(m string) bool {
		return strings.HasSuffix(m, "Member must have length less than or equal to 200")
	})

	var fifty []string // O-34
	for i := range 50 {
		fifty = append(fifty, fmt.Sprintf(`"é%d":""`, i))
	}
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{%s}}`, strings.Join(fifty, ","))
	const many = "Failed to add tags to stream s under account 000000000000 because a given stream cannot have more than 10 tags associated with it."
	add(`{"x":"y"}`).fails("InvalidArgumentException", many)
	if r := add(`{"é0":"new"}`); r.status != 200 {
		t.Error(r.body)
	}
	w.ok("ListTagsForStream", `{"StreamName":"s","Limit":1}`).want("new", "Tags", 0, "Value")
}

// AWS's answers escape no more than JSON needs.
func TestAnswersEscapeNoMoreThanTheyMust(t *testing.T) {
	t.Parallel()
	b, err := asJSON{}.answer(nil, map[string]string{"Policy": "<a&b>"})
	if err != nil || string(b) != `{"Policy":"<a&b>"}` {
		t.Errorf("%s, %v", b, err)
	}
}

// O-35
func TestTagsAreListedInOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ok("CreateStream", `{"StreamName":"s","Tags":{"b":"2","a":"1"}}`)
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"c":"3"}}`)

	first := w.ok("ListTagsForStream", `{"StreamName":"s","Limit":2}`)
	second := w.ok("ListTagsForStream", `{"StreamName":"s","ExclusiveStartTagKey":"b"}`)

	first.want(`[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}]`, "Tags")
	first.want("true", "HasMoreTags")
	second.want(`[{"Key":"c","Value":"3"}]`, "Tags")
	second.want("false", "HasMoreTags")
	w.ok("ListTagsForStream", `{"StreamName":"s","ExclusiveStartTagKey":"bb;"}`).want(
		`[{"Key":"c","Value":"3"}]`, "Tags",
	)
	w.restart(100)
	w.ok("ListTagsForStream", `{"StreamName":"s","Limit":1}`).want(`[{"Key":"a","Value":"1"}]`, "Tags")
}

// O-36: tag by AddTagsToStream · ListTagsForResource on the stream ARN: the same tag; and vice versa after TagResource.
func TestBothKindsOfTagOperationsShareOneSet(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	is := func(want string) {
		t.Helper()
		if got := w.ok("ListTagsForResource", `{"ResourceARN":%q}`, arn).body; got != `{"Tags":`+want+`}` {
			t.Errorf("for the resource: %s, want %s", got, want)
		}
		if got := w.ok("ListTagsForStream", `{"StreamName":"s"}`).body; got != `{"HasMoreTags":false,"Tags":`+want+`}` {
			t.Errorf("for the stream: %s, want %s", got, want)
		}
	}

	is(`[]`)
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"b":"1","a":""}}`)
	is(`[{"Key":"a","Value":""},{"Key":"b","Value":"1"}]`)
	if r := w.ok("TagResource", `{"ResourceARN":%q,"Tags":{"b":"2","c":"3"}}`, arn); r.body != "" {
		t.Errorf("the answer is %q", r.body)
	}
	is(`[{"Key":"a","Value":""},{"Key":"b","Value":"2"},{"Key":"c","Value":"3"}]`)
	w.ok("RemoveTagsFromStream", `{"StreamName":"s","TagKeys":["a","unknown"]}`)
	is(`[{"Key":"b","Value":"2"},{"Key":"c","Value":"3"}]`)
	w.ok("UntagResource", `{"ResourceARN":%q,"TagKeys":["c","b","b"]}`, arn)
	is(`[]`)
	w.restart(20000)
	is(`[]`)
}

// O-37: a consumer registered with Tags · ListTagsForResource on the consumer ARN: those tags; the stream's set is
// unaffected.
func TestConsumersHaveTagsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const ofStream = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"s":"1"}}`)
	arn := w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c","Tags":{"b":"1"}}`, ofStream).
		get("Consumer", "ConsumerARN")
	is := func(of, want string) {
		t.Helper()
		if got := w.ok("ListTagsForResource", `{"ResourceARN":%q}`, of).body; got != `{"Tags":`+want+`}` {
			t.Errorf("tags of %s: %s, want %s", of, got, want)
		}
	}

	is(arn, `[{"Key":"b","Value":"1"}]`)
	w.ok("TagResource", `{"ResourceARN":%q,"Tags":{"a":"2"}}`, arn)
	is(arn, `[{"Key":"a","Value":"2"},{"Key":"b","Value":"1"}]`)
	w.ok("UntagResource", `{"ResourceARN":%q,"TagKeys":["b"]}`, arn)
	is(arn, `[{"Key":"a","Value":"2"}]`)
	is(ofStream, `[{"Key":"s","Value":"1"}]`)
	w.call("TagResource", `{"ResourceARN":%q,"Tags":{%s}}`, arn, manyTags(50)).failsLike("InvalidArgumentException",
		"… cannot have more than 10 tags", func(text string) bool {
			return strings.HasSuffix(text, "cannot have more than 10 tags associated with it.")
		})
	w.call("TagResource", `{"ResourceARN":%q,"Tags":{"a;":""}}`, arn).fails("InvalidArgumentException",
		"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
	for _, r := range []reply{
		w.call("TagResource", `{"ResourceARN":"%s1","Tags":{"a;":""}}`, arn),
		w.call("UntagResource", `{"ResourceARN":"%s1","TagKeys":["a;"]}`, arn),
		w.call("ListTagsForResource", `{"ResourceARN":"%s1"}`, arn),
	} {
		r.fails("ResourceNotFoundException", "Consumer c under stream s and account 000000000000 not found.")
	}
	is(arn, `[{"Key":"a","Value":"2"}]`)
}

// manyTags returns n members of a map of tags.
func manyTags(n int) string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf(`"t%d":""`, i)
	}
	return strings.Join(tags, ",")
}

// Keys that are removed are checked as keys that are added, in the texts of a removal.
func TestKeysOfTagsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	for op, of := range map[string]string{"RemoveTagsFromStream": `"StreamName":"s"`, "UntagResource": `"ResourceARN":"` + arn + `"`} {
		remove := func(keys string) reply { return w.call(op, `{%s,"TagKeys":[%s]}`, of, keys) }
		remove(`"a;b"`).fails("InvalidArgumentException",
			"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
		remove(`"a%%"`).fails("InvalidArgumentException", "Failed to remove tags from stream s under account 000000000000 "+
			"because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, "+
			"'_',',','/','=','+','-','@'.")
		const each = "Value '[]' at 'tagKeys' failed to satisfy constraint: "
		remove(`""`).fails("ValidationException", "1 validation error detected: "+each+"Member must satisfy constraint: "+
			"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]")
		remove(``).fails("ValidationException",
			"1 validation error detected: "+each+"Member must have length greater than or equal to 1")
		remove(strings.TrimSuffix(strings.Repeat(`"a",`, 51), ",")).failsLike("ValidationException",
			"… less than or equal to 50", func(text string) bool {
				return strings.HasSuffix(text, "at 'tagKeys' failed to satisfy constraint: Member must have length less than or equal to 50")
			})
		remove(`7`).fails("SerializationException", "class com.amazon.coral.value.json.numbers.TruncatingBigNumber "+
			"can not be converted to an String")
		w.call(op, `{%s}`, of).fails("ValidationException", "1 validation error detected: "+
			"Value null at 'tagKeys' failed to satisfy constraint: Member must not be null")
	}
	w.call("RemoveTagsFromStream", `{"StreamName":"q","TagKeys":["a;"]}`).fails(
		"ResourceNotFoundException", "Stream q under account 000000000000 not found.")
}
