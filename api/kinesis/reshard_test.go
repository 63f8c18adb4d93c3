package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shape lists the open shards by their ranges, as id:start-end with a parent list, and counts all that are listed.
func (w *world) shape(name string) (open []string, listed int) {
	w.Helper()
	r := w.ok("ListShards", `{"StreamName":%q}`, name)
	listed = len(r.each("Shards", "ShardId"))
	latest := w.ok("ListShards", `{"StreamName":%q,"ShardFilter":{"Type":"AT_LATEST"}}`, name)
	byStart := map[string]string{}
	starts := []string{}
	for i := range latest.each("Shards", "ShardId") {
		s := func(member ...any) string { return latest.get(append([]any{"Shards", i}, member...)...) }
		start := s("HashKeyRange", "StartingHashKey")
		starts = append(starts, start)
		byStart[start] = fmt.Sprintf("%s:%s-%s", number(s("ShardId")), start, s("HashKeyRange", "EndingHashKey"))
		for _, parent := range []string{s("ParentShardId"), s("AdjacentParentShardId")} {
			if parent != "" {
				byStart[start] += " of " + number(parent)
			}
		}
	}
	sortNumbers(starts)
	for _, start := range starts {
		open = append(open, byStart[start])
	}
	return open, listed
}

func number(id string) string {
	n := strings.TrimLeft(strings.TrimPrefix(id, "shardId-"), "0")
	if n == "" {
		return "0"
	}
	return n
}

func (w *world) wantShape(name string, listed int, open ...string) {
	w.Helper()
	got, n := w.shape(name)
	if strings.Join(got, "\n") != strings.Join(open, "\n") || n != listed {
		w.Errorf("%d shards are listed, want %d; open are\n%s\nwant\n%s", n, listed, strings.Join(got, "\n"),
			strings.Join(open, "\n"))
	}
}

const (
	inStream = " in stream s under account 000000000000"
	inUse    = "ResourceInUseException"
	invalid  = "InvalidArgumentException"
	limit    = "LimitExceededException"
	missing  = "ResourceNotFoundException"
)

// the halves are open, both with ParentShardId 0.
func TestAShardIsSplitInTheMiddle(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	r := w.ok("SplitShard", `{"StreamName":"s","ShardToSplit":"shardId-000000000000",
		"NewStartingHashKey":"170141183460469231731687303715884105728"}`)

	if r.body != "" {
		t.Error(r.body)
	}
	w.wantShape("s", 3,
		"1:0-170141183460469231731687303715884105727 of 0",
		"2:170141183460469231731687303715884105728-"+maxHash+" of 0")
	// key e goes to child 2, with a number above its start
	shard, seq := w.put("s", "e", "x")
	start := w.ok("DescribeStream", `{"StreamName":"s"}`).get("StreamDescription", "Shards", 2, "SequenceNumberRange",
		"StartingSequenceNumber")
	if shard != "shardId-000000000002" || compareNumbers(seq, start) <= 0 {
		t.Errorf("e goes to %s, %s; the shard starts at %s", shard, seq, start)
	}
}

// the smallest left child has the keys 0 and 1.: refusals of splits, in AWS's order.
func TestSplitsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)
	split := func(stream, shard, start string) reply {
		return w.call("SplitShard", `{"StreamName":%q,"ShardToSplit":%q,"NewStartingHashKey":%q}`, stream, shard, start)
	}
	illegal := func(k string) string {
		return "NewStartingHashKey " + k + " used in SplitShard() on shard shardId-000000000000" + inStream +
			" is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey " +
			"113427455640312821154458202477256070484."
	}

	for _, k := range []string{
		"0", "1", "113427455640312821154458202477256070484", "113427455640312821154458202477256070485",
		"340282366920938463463374607431768211456", // 2^128
	} {
		split("s", "0", k).fails(invalid, illegal(k))
	}
	split("q", "x!", "2").fails("ValidationException",
		"1 validation error detected: Value 'x!' at 'shardToSplit' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	split("q", "2147483648", "2").fails(missing, // before the stream is looked up
		"Could not find shard 2147483648 in stream q under account 000000000000.")
	split("q", "0", "2").fails(missing, "Stream q under account 000000000000 not found.")
	split("s", "7", "2").fails(missing, "Could not find shard shardId-000000000007"+inStream+".")
	split("s", "0", "02").fails("ValidationException",
		`1 validation error detected: Value '02' at 'newStartingHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`)
	if r := split("s", "0", "2"); r.status != 200 {
		t.Fatal(r.body)
	}
	w.wantShape("s", 5,
		"3:0-1 of 0", "4:2-113427455640312821154458202477256070484 of 0",
		"1:113427455640312821154458202477256070485-226854911280625642308916404954512140969",
		"2:226854911280625642308916404954512140970-"+maxHash)
	const again = "Shard shardId-000000000000" + inStream +
		" has already been merged or split, and thus is not eligible for merging or splitting."
	split("s", "0", "5").fails(invalid, again)
	split("s", "0", "1").fails(invalid, again)                                      // before the hash key
	split("s", "3", "1").failsLike(invalid, "…", func(string) bool { return true }) // two keys cannot be split
	w.ok("CreateStream", `{"StreamName":"d"}`)
	split("d", "9", "1").fails("ValidationException",
		"Request is invalid. Stream d under account 000000000000 is in On-Demand mode.")
}

// the child has the range of both and names both parents.
func TestTwoShardsAreMerged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)

	r := w.ok("MergeShards", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ShardToMerge":"0","AdjacentShardToMerge":"1"}`)

	if r.body != "" {
		t.Error(r.body)
	}
	w.wantShape("s", 4, "3:0-226854911280625642308916404954512140969 of 0 of 1",
		"2:226854911280625642308916404954512140970-"+maxHash)
}

// R-07, and the checks before it.
func TestMergesAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)
	merge := func(stream, a, b string) reply {
		return w.call("MergeShards", `{"StreamName":%q,"ShardToMerge":%q,"AdjacentShardToMerge":%q}`, stream, a, b)
	}

	for _, pair := range [][2]int{{1, 0}, {0, 2}, {1, 1}, {2, 0}} {
		a, b := fmt.Sprint(pair[0]), fmt.Sprint(pair[1])
		merge("s", a, b).fails(invalid, "Shards shardId-00000000000"+a+" and shardId-00000000000"+b+inStream+
			" are not an adjacent pair of shards eligible for merging")
	}
	merge("q", "x", "y").fails(missing, "Could not find shard x in stream q under account 000000000000.")
	merge("q", "0", "y").fails(missing, "Could not find shard y in stream q under account 000000000000.")
	merge("q", "0", "1").fails(missing, "Stream q under account 000000000000 not found.")
	merge("s", "0", "4").fails(missing, "Could not find shard shardId-000000000004"+inStream+".")
	w.ok("MergeShards", `{"StreamName":"s","ShardToMerge":"0","AdjacentShardToMerge":"1"}`)
	merge("s", "1", "2").fails(invalid, "Shard shardId-000000000001"+inStream+
		" has already been merged or split, and thus is not eligible for merging or splitting.")
	w.ok("CreateStream", `{"StreamName":"d"}`)
	merge("d", "0", "1").fails("ValidationException",
		"Request is invalid. Stream d under account 000000000000 is in On-Demand mode.")
}

// what UpdateShardCount answers, and which shards it leaves.
func TestUpdateShardCountSweepsFromLeftToRight(t *testing.T) {
	t.Parallel()
	const third, two = "113427455640312821154458202477256070484", "226854911280625642308916404954512140969"
	thirds := []string{
		"0-" + third, "113427455640312821154458202477256070485-" + two, "226854911280625642308916404954512140970-" + maxHash,
	}
	halves := []string{
		"0-170141183460469231731687303715884105727", "170141183460469231731687303715884105728-" + maxHash,
	}
	for _, c := range []struct {
		from, to, listed int
		open             string
		ranges           []string
	}{
		{1, 2, 3, "1 2", halves},
		{4, 3, 11, "6 9 10", thirds},
		{2, 3, 7, "2 6 5", thirds},
		{4, 2, 6, "4 5", halves},
		{4, 5, 15, "4 8 11 14 13", nil},
		{3, 3, 3, "0 1 2", thirds},
	} {
		w := setup(t)
		w.create("s", c.from)

		r := w.ok("UpdateShardCount", `{"StreamName":"s","TargetShardCount":%d,"ScalingType":"UNIFORM_SCALING"}`, c.to)

		if want := fmt.Sprintf(
			`{"CurrentShardCount":%d,"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","StreamName":"s","TargetShardCount":%d}`,
			c.from, c.to,
		); r.body != want {
			t.Errorf("answers %s, want %s", r.body, want)
		}
		open, listed := w.shape("s")
		var ids []string
		for i, s := range open {
			id, rest, _ := strings.Cut(s, ":")
			ids = append(ids, id)
			if keys, _, _ := strings.Cut(rest, " "); c.ranges != nil && keys != c.ranges[i] {
				t.Errorf("%d → %d: range %d is %s, want %s", c.from, c.to, i, keys, c.ranges[i])
			}
		}
		if got := strings.Join(ids, " "); got != c.open || listed != c.listed {
			t.Errorf("%d → %d: %d listed, open %s; want %d, %s", c.from, c.to, listed, got, c.listed, c.open)
		}
		w.ok("DescribeStreamSummary", `{"StreamName":"s"}`).want("ACTIVE", "StreamDescriptionSummary", "StreamStatus")
	}
}

// shards unchanged. R-16: the text of on-demand streams.
func TestUpdateShardCountKeepsItsLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 4)
	update := func(stream string, n int) reply {
		return w.call("UpdateShardCount", `{"StreamName":%q,"TargetShardCount":%d,"ScalingType":"UNIFORM_SCALING"}`, stream, n)
	}
	refusal := func(from, to int, why string) string {
		return fmt.Sprintf("UpdateShardCount cannot change the open shards of stream s under account 000000000000 from %d to %d: %s.",
			from, to, why)
	}

	update("s", 9).fails(limit, refusal(4, 9, "at most double the current shard count is possible in one call"))
	update("s", 1).fails(limit, refusal(4, 1, "at least half the current shard count must remain in one call"))
	update("q", 9).fails(missing, "Stream q under account 000000000000 not found.")
	w.call("UpdateShardCount", `{"StreamName":"s","TargetShardCount":0,"ScalingType":"X"}`).fails("ValidationException",
		"2 validation errors detected: Value '0' at 'targetShardCount' failed to satisfy constraint: Member must have value greater than or equal to 1; "+
			"Value 'X' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: [UNIFORM_SCALING]")
	if _, listed := w.shape("s"); listed != 4 {
		t.Errorf("a refused call leaves %d shards", listed)
	}
	w.ok("CreateStream", `{"StreamName":"d"}`)
	update("d", 8).fails("ValidationException",
		"Request is invalid. Stream d under account 000000000000 is in On-Demand mode.")
	w.restart(5)
	const more = "Current shard count for the account: 4. Limit: 5. Number of additional shards that would have resulted from this request: 3."
	update("s", 6).failsLike(limit, more, func(m string) bool { return strings.Contains(m, more) }) // 7 for a moment
	if r := update("s", 3); r.status != 200 {
		t.Error(r.body)
	}
	w.restart(3)
	w.call("SplitShard", `{"StreamName":"s","ShardToSplit":"6","NewStartingHashKey":"1"}`).failsLike(limit, "quota", func(m string) bool {
		return strings.HasSuffix(m, "Number of additional shards that would have resulted from this request: 1. Refer to the AWS Service Limits page "+
			"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.")
	}) // the quota comes before the hash key
}

// The limits that AWS documents: 5 → 3 is allowed, 5 → 2 is not, and 10,000 shards are the most.
func TestTheLargestStreams(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 5)
	for n, want := range map[int]int{2: 400, 11: 400} {
		if r := w.call("UpdateShardCount", `{"StreamName":"s","TargetShardCount":%d,"ScalingType":"UNIFORM_SCALING"}`, n); r.status != want {
			t.Errorf("5 → %d: %s", n, r.body)
		}
	}
	w.ok("UpdateShardCount", `{"StreamName":"s","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`)
	w.create("t", 5001)
	w.call("UpdateShardCount", `{"StreamName":"t","TargetShardCount":10001,"ScalingType":"UNIFORM_SCALING"}`).fails(limit,
		"UpdateShardCount cannot change the open shards of stream t under account 000000000000 from 5001 to 10001: at most 10000 shards are possible.")
}

// 3.1: shards stay as they are; OpenShardCount unchanged. To ON_DEMAND counts against the quota of 50.
func TestTheModeChangesAndTheShardsStay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	arn := `"arn:aws:kinesis:us-east-1:000000000000:stream/s"`
	set := func(mode string) reply {
		return w.call("UpdateStreamMode", `{"StreamARN":%s,"StreamModeDetails":{"StreamMode":%q}}`, arn, mode)
	}

	for _, mode := range []string{"ON_DEMAND", "ON_DEMAND", "PROVISIONED"} {
		if r := set(mode); r.status != 200 || r.body != "" {
			t.Fatal(r.status, r.body)
		}
		r := w.ok("DescribeStreamSummary", `{"StreamName":"s"}`)
		r.want(mode, "StreamDescriptionSummary", "StreamModeDetails", "StreamMode")
		r.want("2", "StreamDescriptionSummary", "OpenShardCount")
		w.restart(20000)
	}
	set("X").fails("ValidationException", "1 validation error detected: Value 'X' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]")
	w.call("UpdateStreamMode", `{}`).fails("ValidationException",
		"2 validation errors detected: Value null at 'streamARN' failed to satisfy constraint: Member must not be null; Value null at 'streamModeDetails' failed to satisfy constraint: Member must not be null")
	w.call("UpdateStreamMode", `{"StreamARN":%s,"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"WarmThroughputMiBps":1}`, arn).
		fails(invalid, "WarmThroughputMiBps needs an account whose MinimumThroughputBillingCommitment is enabled; account 000000000000 has it disabled.")
	for i := range 50 {
		w.ok("CreateStream", `{"StreamName":"d%d"}`, i)
	}
	set("ON_DEMAND").fails(limit, "This request would exceed the on-demand stream limit for the account 000000000000 in us-east-1. Current on-demand stream count for the account: 50. Limit: 50.")
}

// O-23, O-24
func TestTheRecordSizeChanges(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	set := func(n int) reply {
		return w.call("UpdateMaxRecordSize", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","MaxRecordSizeInKiB":%d}`, n)
	}
	big := fmt.Sprintf(`{"StreamName":"s","PartitionKey":"a","Data":%q}`, b64(strings.Repeat("x", 1_500_000)))

	const at = "1 validation error detected: Value '%d' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value %s than or equal to %d"
	set(1023).fails("ValidationException", fmt.Sprintf(at, 1023, "greater", 1024))
	set(10241).fails("ValidationException", fmt.Sprintf(at, 10241, "less", 10240))
	w.call("PutRecord", "%s", big).failsLike("ValidationException", "1048576", func(m string) bool {
		return strings.HasSuffix(m, "1048576")
	})
	if r := set(2048); r.status != 200 || r.body != "" {
		t.Fatal(r.body)
	}
	w.ok("PutRecord", "%s", big)
	w.ok("DescribeStreamSummary", `{"StreamName":"s"}`).want("2048", "StreamDescriptionSummary", "MaxRecordSizeInKiB")
	w.call("UpdateMaxRecordSize", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/q","MaxRecordSizeInKiB":2048}`).
		fails(missing, "Stream q under account 000000000000 not found.")
	w.call("UpdateMaxRecordSize", `{"MaxRecordSizeInKiB":2048}`).fails(invalid, "Either StreamName or StreamARN should be provided.")
}

// O-27, O-28, O-29, in their order; what is equal to the present period is a success without effect, as Terraform needs
// it for its default of 24.
func TestRetentionPeriodsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	change := func(op, stream string, hours int) reply {
		return w.call(op+"StreamRetentionPeriod", `{"StreamName":%q,"RetentionPeriodHours":%d}`, stream, hours)
	}
	good := func(op string, hours int) {
		t.Helper()
		if r := change(op, "s", hours); r.status != 200 || r.body != "" {
			t.Fatal(r.body)
		}
		w.ok("DescribeStreamSummary", `{"StreamName":"s"}`).want(fmt.Sprint(hours), "StreamDescriptionSummary", "RetentionPeriodHours")
	}

	good("Increase", 24)
	good("Decrease", 24)
	good("Increase", 48)
	good("Increase", 48)
	for _, op := range []string{"Increase", "Decrease"} {
		change(op, "s", 23).fails(invalid, "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
		change(op, "s", 8761).fails(invalid, "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
		change(op, "q", 23).fails(missing, "Stream q under account 000000000000 not found.")
		change(op, "s", 0).fails("ValidationException",
			"1 validation error detected: Value '0' at 'retentionPeriodHours' failed to satisfy constraint: Member must have value greater than or equal to 1")
	}
	change("Increase", "s", 25).fails(invalid, "Requested retention period (25 hours) for stream s can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API.")
	change("Decrease", "s", 49).fails(invalid, "Requested retention period (49 hours) for stream s can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API.")
	good("Increase", 8760)
	good("Decrease", 24)
}

// P-24: old records not returned; no error. 2.7: a longer period brings nothing back.
func TestAShorterRetentionHidesAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.ok("IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":48}`)
	_, old := w.put("s", "old", "x")
	w.advance(30 * time.Hour)
	w.put("s", "new", "x")
	from := func() string {
		return w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")) + "; " +
			w.readKeys(w.iterator("s", "0", "AT_SEQUENCE_NUMBER", fmt.Sprintf(`,"StartingSequenceNumber":%q`, old))) + "; " +
			w.readKeys(w.iterator("s", "0", "AT_TIMESTAMP", `,"Timestamp":1`))
	}

	if got := from(); got != "old new; old new; old new" {
		t.Fatalf("within 48 hours: %s", got)
	}
	w.ok("DecreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":24}`)
	for _, then := range []string{"shorter", "longer", "restarted"} {
		switch then {
		case "longer":
			w.ok("IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":8760}`)
		case "restarted":
			w.restart(20000)
		}
		if got := from(); got != "new; new; new" {
			t.Errorf("%s: %s", then, got)
		}
	}
	w.advance(100 * 24 * time.Hour)
	if got := from(); got != "new; new; new" {
		t.Errorf("after 100 days of 365: %s", got)
	}
}

func sortNumbers(numbers []string) { slices.SortFunc(numbers, compareNumbers) }
