package kinesis

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/stream"
)

// P-01, P-02
func TestIteratorsBeginWhereTheirTypeSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	var q [4]string
	for i := range 3 {
		_, q[i] = w.put("s", fmt.Sprint("q", i+1), "x")
	}
	starting := fmt.Sprintf(`,"StartingSequenceNumber":%q`, q[1])
	latest := w.iterator("s", "0", "LATEST", "")

	for kind, want := range map[string]string{"AT_SEQUENCE_NUMBER": "q2 q3", "AFTER_SEQUENCE_NUMBER": "q3"} {
		if got := w.readKeys(w.iterator("s", "0", kind, starting)); got != want {
			t.Errorf("%s reads %q, want %q", kind, got, want)
		}
	}
	if got := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); got != "q1 q2 q3" {
		t.Errorf("TRIM_HORIZON reads %q", got)
	}
	if got := w.readKeys(latest); got != "" {
		t.Errorf("LATEST reads %q", got)
	}
	w.put("s", "q4", "x") // P-02
	for range 2 {
		if got := w.readKeys(latest); got != "q4" {
			t.Errorf("LATEST reads %q later", got)
		}
	}
}

func TestTheShardsOwnNumbersAreLegalStarts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.put("s", "a", "x")
	w.split("s", 0)
	shard := w.ok("ListShards", `{"StreamName":"s"}`)
	first, last := shard.get("Shards", 0, "SequenceNumberRange", "StartingSequenceNumber"), shard.get(
		"Shards", 0, "SequenceNumberRange", "EndingSequenceNumber",
	)

	for _, kind := range []string{"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"} {
		if got := w.readKeys(w.iterator(
			"s", "0", kind, fmt.Sprintf(`,"StartingSequenceNumber":%q`, first),
		)); got != "a" {
			t.Errorf("%s the start reads %q", kind, got)
		}
		end := w.read(w.iterator("s", "0", kind, fmt.Sprintf(`,"StartingSequenceNumber":%q`, last)))
		end.want("shardId-000000000001", "ChildShards", 0, "ShardId")
	}
}

// P-03
func TestTimestampsBeginAtTheFirstLaterRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 1)
		at := func(ms int64) string { return fmt.Sprintf(`,"Timestamp":%d.%03d`, ms/1000, ms%1000) }
		w.put("s", "q1", "x")
		t1 := w.clock.Now().UnixMilli()
		w.advance(5 * time.Millisecond)
		w.put("s", "q2", "x")
		t2 := w.clock.Now().UnixMilli()
		w.advance(time.Second)

		for ms, want := range map[int64]string{t2: "q2", t1 + 1: "q2", t1: "q1 q2", t1 - 1000000: "q1 q2", t2 + 1: ""} {
			if got := w.readKeys(w.iterator("s", "0", "AT_TIMESTAMP", at(ms))); got != want {
				t.Errorf("at %d reads %q, want %q", ms-t1, got, want)
			}
		}
		late := w.iterator("s", "0", "AT_TIMESTAMP", at(t2+1))
		w.put("s", "q3", "x")
		if got := w.readKeys(late); got != "q3" {
			t.Errorf("reads %q later", got)
		}
		w.streams.Stop()
	})
}

// P-04 to P-10 and the rest of the refusals, in the order of AWS's checks.
func TestIteratorsAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)
	const either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
	get := func(name, shard, kind, more string) reply {
		return w.call(
			"GetShardIterator", `{"StreamName":%q,"ShardId":%q,"ShardIteratorType":%q%s}`, name, shard, kind, more,
		)
	}

	future := regexp.MustCompile(
		`^The timestampInMillis parameter cannot be greater than the currentTimestampInMillis\. timestampInMillis: \d+, currentTimestampInMillis: \d+$`,
	)
	// P-04
	get("s", "0", "AT_TIMESTAMP", fmt.Sprintf(`,"Timestamp":%d`, w.clock.Now().Unix()+2)).failsLike(
		"InvalidArgumentException", future.String(), future.MatchString,
	)
	get("s", "0", "AT_TIMESTAMP", "").fails("InvalidArgumentException", // P-05
		"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
	// P-06
	get("s", "0", "LATEST", `,"StartingSequenceNumber":"5"`).fails(
		"InvalidArgumentException", either+"LATEST and also a StartingSequenceNumber.",
	)
	get("s", "0", "TRIM_HORIZON", `,"StartingSequenceNumber":"5"`).fails(
		"InvalidArgumentException", either+"TRIM_HORIZON and also a StartingSequenceNumber.",
	)
	get("s", "0", "AT_SEQUENCE_NUMBER", "").fails(
		"InvalidArgumentException", either+"AT_SEQUENCE_NUMBER and no StartingSequenceNumber.",
	)
	get("s", "0", "AFTER_SEQUENCE_NUMBER", "").fails(
		"InvalidArgumentException", either+"AFTER_SEQUENCE_NUMBER and no StartingSequenceNumber.",
	)
	get("s", "0", "AT_SEQUENCE_NUMBER", `,"StartingSequenceNumber":"5"`).fails("InvalidArgumentException", // P-07
		"Invalid StartingSequenceNumber. It encodes shardId-000000000005, while it was used in a call to a shard with shardId-000000000000")
	nines := strings.Repeat("9", 100)
	get("s", "0", "AT_SEQUENCE_NUMBER", `,"StartingSequenceNumber":"`+nines+`"`).fails("InvalidArgumentException",
		"StartingSequenceNumber "+nines+
			" used in GetShardIterator on shard shardId-000000000000 in stream s under account 000000000000 is invalid.")
	// P-09
	get("s", "9", "LATEST", "").fails(
		"ResourceNotFoundException", "Shard shardId-000000000009 in stream s under account 000000000000 does not exist",
	)
	get("q", "0", "LATEST", "").fails(
		"ResourceNotFoundException", "Shard shardId-000000000000 in stream q under account 000000000000 does not exist",
	)
	// P-10
	get("s", "0", "X", "").fails("ValidationException",
		"1 validation error detected: Value 'X' at 'shardIteratorType' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")
	if r := get("s", "0", "AT_SEQUENCE_NUMBER", `,"StartingSequenceNumber":"0"`); r.status != 500 ||
		r.body != `{"__type":"InternalFailure"}` {
		t.Errorf("a version 0 number of this shard: %d %s", r.status, r.body)
	}
	v1, _ := new(big.Int).SetString("2"+strings.Repeat("0", 45)+"1", 16)
	get(
		"s", "0", "AT_SEQUENCE_NUMBER", fmt.Sprintf(`,"StartingSequenceNumber":"%d"`, v1),
	).fails("InvalidArgumentException", fmt.Sprintf(
		"StartingSequenceNumber %d used in GetShardIterator on shard shardId-000000000000 in stream s under account 000000000000 is invalid because it did not come from this stream.",
		v1))
}

// P-08, P-23 and 5.5: numbers and iterators of a stream that was deleted and made again.
func TestNothingOfADeletedStreamIsTakenForTheNewOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	_, q := w.put("s", "a", "x")
	old := w.iterator("s", "0", "TRIM_HORIZON", "")
	const gone = "Shard shardId-000000000000 in stream s under account 000000000000 does not exist"

	w.ok("DeleteStream", `{"StreamName":"s"}`)
	w.call("GetRecords", `{"ShardIterator":%q}`, old).fails("ResourceNotFoundException", gone) // P-23
	w.advance(5 * time.Second)
	w.create("s", 1)

	w.call("GetRecords", `{"ShardIterator":%q}`, old).fails("ResourceNotFoundException", gone)
	// P-08
	w.call(
		"GetShardIterator",
		`{"StreamName":"s","ShardId":"0","ShardIteratorType":"AFTER_SEQUENCE_NUMBER","StartingSequenceNumber":%q}`, q,
	).
		fails(
			"InvalidArgumentException",
			"StartingSequenceNumber "+q+
				" used in GetShardIterator on shard shardId-000000000000 in stream s under account 000000000000 is invalid because it did not come from this stream.",
		)
}

// P-11
func TestIteratorsHaveTheSizeOfAWSs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, n := range []int{1, 64, 128} {
		name := strings.Repeat("n", n)
		w.create(name, 1)

		it := w.iterator(name, "0", "LATEST", "")

		b, err := base64.StdEncoding.DecodeString(it)
		if err != nil || len(it) > 512 || fmt.Sprintf("%x", b[:8]) != "0000000000000001" || (len(b)-152)%16 != 0 {
			t.Errorf("a name of %d characters gives %d, decoded %d bytes, %v", n, len(it), len(b), err)
		}
	}
}

// P-12, and tokens that almost are ours.
func TestForeignIteratorsAreInvalid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	it := w.iterator("s", "0", "LATEST", "")
	flipped := []byte(it)
	flipped[100] ^= 1
	other := setup(t)
	other.create("s", 1)

	for _, bad := range []string{
		"aaaa", "!", string(flipped), it[4:], it + "AAAA", `"`, `""`, it + `\n`, other.iterator("s", "0", "LATEST", ""),
	} {
		if bad == it+`\n` {
			bad = it + "\n"
		}
		w.call("GetRecords", `{"ShardIterator":%q}`, bad).fails("InvalidArgumentException", "Invalid ShardIterator.")
	}
}

// P-13
func TestIteratorsLiveForFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 1)
		it := w.iterator("s", "0", "LATEST", "")

		w.advance(299 * time.Second)
		w.read(it)
		w.advance(time.Second)
		w.read(it)
		w.advance(time.Millisecond)
		expired := regexp.MustCompile(
			`^Iterator expired\. The iterator was created at time \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4} while right now it is .* which is further in the future than the tolerated delay of 300000 milliseconds\.$`,
		)
		w.call("GetRecords", `{"ShardIterator":%q}`, it).failsLike(
			"ExpiredIteratorException", expired.String(), expired.MatchString,
		)
		w.ok("DeleteStream", `{"StreamName":"s"}`) // the age is checked before the stream
		w.call("GetRecords", `{"ShardIterator":%q}`, it).failsLike(
			"ExpiredIteratorException", expired.String(), expired.MatchString,
		)
		w.advance(-600 * time.Second)
		w.call("GetRecords", `{"ShardIterator":%q}`, it).fails("InvalidArgumentException", "Invalid ShardIterator.")
		w.streams.Stop()
	})
}

// How long an iterator lives can be set, for tests; lists are not concerned.
func TestTheLifeOfIteratorsCanBeSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 2)
		w.streams.Stop()
		w.reopen(stream.Options{IteratorLife: time.Second})
		it := w.iterator("s", "0", "LATEST", "")
		next := w.ok("ListShards", `{"StreamName":"s","MaxResults":1}`).get("NextToken")

		w.advance(time.Second)
		w.read(it)
		w.advance(time.Millisecond)
		w.call("GetRecords", `{"ShardIterator":%q}`, it).failsLike(
			"ExpiredIteratorException", "… of 1000 milliseconds.", func(text string) bool {
				return strings.HasSuffix(text, "the tolerated delay of 1000 milliseconds.")
			},
		)
		w.ok("ListShards", `{"NextToken":%q}`, next)
		w.streams.Stop()
	})
}

// P-14, P-15
func TestIteratorsSurviveQuotesAndRestarts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	it := w.iterator("s", "0", "TRIM_HORIZON", "")
	w.put("s", "a", "x")

	if got := w.readKeys(`"` + it + `"`); got != "a" {
		t.Errorf("in quotes it reads %q", got)
	}
	w.restart(100)
	if got := w.readKeys(it); got != "a" {
		t.Errorf("after a restart it reads %q", got)
	}
}

// P-16
func TestReadingStepByStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 1)
		for range 5 {
			w.put("s", "a", "x")
		}
		w.advance(10 * time.Millisecond)
		it := w.iterator("s", "0", "TRIM_HORIZON", "")
		seen := map[string]bool{it: true}

		for i, want := range []int{2, 2, 1, 0} {
			r := w.ok("GetRecords", `{"ShardIterator":%q,"Limit":2}`, it)
			if n := len(r.each("Records", "Data")); n != want {
				t.Errorf("read %d gives %d records, want %d", i, n, want)
			}
			r.want([]string{"10", "10", "0", "0"}[i], "MillisBehindLatest")
			r.want("", "ChildShards")
			it = r.get("NextShardIterator")
			if seen[it] {
				t.Errorf("read %d repeats an iterator", i)
			}
			seen[it] = true
		}
		exact := w.ok("GetRecords", `{"ShardIterator":%q,"Limit":5}`, w.iterator("s", "0", "TRIM_HORIZON", ""))
		exact.want("0", "MillisBehindLatest")
		w.streams.Stop()
	})
}

// P-17, P-18, P-19
func TestReadsAreCapped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("mib", 1)
	for _, n := range []int{10, 2} {
		w.ok("PutRecords", `{"StreamName":"mib","Records":%s}`, entries(n, "k", 1<<20-1))
	}
	first := w.read(w.iterator("mib", "0", "TRIM_HORIZON", ""))
	_, next, _ := strings.Cut(first.body, `"NextShardIterator":"`) // decoding 14 MB takes long under the race detector
	second := w.read(strings.TrimSuffix(next, `"}`))
	// P-17
	if a, b := strings.Count(first.body, `"PartitionKey"`), strings.Count(second.body, `"PartitionKey"`); a != 10 ||
		b != 2 {
		t.Errorf("reads of %d and %d records", a, b)
	}

	w.ok("CreateStream", `{"StreamName":"big","ShardCount":1,"MaxRecordSizeInKiB":10240}`)
	w.ok("PutRecord", `{"StreamName":"big","PartitionKey":"k","Data":"%s"}`, b64(strings.Repeat("x", 10<<20-1)))
	if n := strings.Count(w.read(w.iterator("big", "0", "TRIM_HORIZON", "")).body, `"PartitionKey"`); n != 1 { // P-18
		t.Errorf("%d records of 10 MiB", n)
	}

	w.create("many", 1)
	for i := range 21 {
		n := 500
		if i == 20 {
			n = 1
		}
		w.ok(
			"PutRecords", `{"StreamName":"many","Records":[%s]}`,
			strings.TrimSuffix(strings.Repeat(`{"PartitionKey":"k","Data":""},`, n), ","),
		)
	}
	r := w.read(w.iterator("many", "0", "TRIM_HORIZON", ""))
	if n := strings.Count(r.body, `"PartitionKey"`); n != 10000 { // P-19
		t.Errorf("%d records", n)
	}
	if n := strings.Count(w.read(r.get("NextShardIterator")).body, `"PartitionKey"`); n != 1 {
		t.Errorf("then %d records", n)
	}
}

// P-20
func TestASplitShardEndsWithItsChildren(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.put("s", "a", "x")
	w.put("s", "e", "x")
	it := w.iterator("s", "0", "TRIM_HORIZON", "")
	w.split("s", 0)

	first := w.read(it)
	end := w.read(first.get("NextShardIterator"))

	first.want("", "ChildShards")
	if n := len(first.each("Records", "Data")); n != 2 {
		t.Errorf("%d records", n)
	}
	end.want("[]", "Records")
	end.want("", "NextShardIterator")
	end.want(`[{"HashKeyRange":{"EndingHashKey":"170141183460469231731687303715884105727","StartingHashKey":"0"},"ParentShards":["shardId-000000000000"],"ShardId":"shardId-000000000001"},`+
		`{"HashKeyRange":{"EndingHashKey":"`+maxHash+
		`","StartingHashKey":"170141183460469231731687303715884105728"},"ParentShards":["shardId-000000000000"],"ShardId":"shardId-000000000002"}]`,
		"ChildShards")
	shard, seq := w.put("s", "e", "y")
	if shard != "shardId-000000000002" ||
		compareNumbers(
			seq,
			w.ok("ListShards", `{"StreamName":"s"}`).get("Shards", 2, "SequenceNumberRange", "StartingSequenceNumber"),
		) <= 0 {
		t.Errorf("after the split e goes to %s with %s", shard, seq)
	}
}

// P-21
func TestMergedShardsEndWithOneChild(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	w.merge("s", 0, 1)

	for _, shard := range []string{"0", "1"} {
		w.read(w.iterator(
			"s", shard, "TRIM_HORIZON", "",
		)).want(`[{"HashKeyRange":{"EndingHashKey":"`+maxHash+`","StartingHashKey":"0"},`+
			`"ParentShards":["shardId-000000000000","shardId-000000000001"],"ShardId":"shardId-000000000002"}]`,
			"ChildShards")
	}
}

// P-22
func TestLatestOfAClosedShardIsItsEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.put("s", "a", "x")
	w.split("s", 0)

	r := w.read(w.iterator("s", "0", "LATEST", ""))

	r.want("shardId-000000000001", "ChildShards", 0, "ShardId")
	r.want("", "NextShardIterator")
}

// P-24, second half: a place that fell behind the horizon moves on without an error.
func TestPlacesBehindTheHorizonMoveToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 1)
		_, q := w.put("s", "old", "x")
		w.advance(23 * time.Hour)
		w.put("s", "young", "x")
		w.advance(time.Hour - time.Minute)
		behind := w.iterator("s", "0", "AT_SEQUENCE_NUMBER", fmt.Sprintf(`,"StartingSequenceNumber":%q`, q))
		w.advance(time.Minute + time.Millisecond)

		for name, it := range map[string]string{
			"an iterator issued before": behind,
			"TRIM_HORIZON":              w.iterator("s", "0", "TRIM_HORIZON", ""),
			"AT_SEQUENCE_NUMBER": w.iterator(
				"s", "0", "AT_SEQUENCE_NUMBER", fmt.Sprintf(`,"StartingSequenceNumber":%q`, q),
			),
			"AT_TIMESTAMP": w.iterator("s", "0", "AT_TIMESTAMP", `,"Timestamp":0`),
		} {
			if got := w.readKeys(it); got != "young" {
				t.Errorf("%s reads %q", name, got)
			}
		}
		w.streams.Stop()
	})
}

// P-25
func TestTheReadLimitIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	w.call(
		"GetRecords", `{"ShardIterator":%q,"Limit":10001}`, w.iterator("s", "0", "LATEST", ""),
	).fails("ValidationException",
		"1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000")
}

func TestAReadMayNameItsStream(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	it := w.iterator("s", "0", "LATEST", "")
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/"

	w.ok("GetRecords", `{"ShardIterator":%q,"StreamARN":"%ss"}`, it, arn)
	w.call("GetRecords", `{"ShardIterator":%q,"StreamARN":"%sq"}`, it, arn).fails(
		"InvalidArgumentException", "The ShardIterator belongs to stream "+arn+"s, not to "+arn+"q.",
	)
}

// R-18, as a client sees it.
func TestExpiredShardsAreNotListed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.put("s", "a", "x")
	w.split("s", 0)
	w.advance(stream.DefaultRetention + time.Second)

	r := w.ok("ListShards", `{"StreamName":"s"}`)

	r.want("shardId-000000000001", "Shards", 0, "ShardId")
	r.want("shardId-000000000000", "Shards", 0, "ParentShardId")
	w.call("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`).
		fails(
			"ResourceNotFoundException",
			"Shard shardId-000000000000 in stream s under account 000000000000 does not exist",
		)
}
