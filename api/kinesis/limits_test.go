package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/stream"
)

// limited runs a test in a bubble, where time passes only when the test lets it: a world with AWS's limits.
func limited(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.streams.Stop()
		w.reopen(stream.Options{Limits: true})
		test(t, w)
		w.streams.Stop()
	})
}

const exceeded = "ProvisionedThroughputExceededException"

// L-07: write toggle on, 1 shard, full bucket; one PutRecords of 500 × 2,400 bytes (key 1 byte) · 436 succeed, 64
// entries {ErrorCode: ProvisionedThroughputExceededException, ErrorMessage: Rate exceeded for shard
// shardId-000000000000 in stream s under account 000000000000.}, FailedRecordCount 64.
func TestAShardTakesAMebibyteASecond(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 1)
		put := func(size, n int) reply {
			e := fmt.Sprintf(`{"PartitionKey":"a","Data":%q},`, b64(strings.Repeat("x", size)))
			all := strings.TrimSuffix(strings.Repeat(e, n), ",")
			return w.ok("PutRecords", `{"StreamName":"s","Records":[%s]}`, all)
		}

		r := put(2400, 500)

		r.want("64", "FailedRecordCount")
		r.want("", "Records", 435, "ErrorCode")
		for i := 436; i < 500; i++ {
			r.want(exceeded, "Records", i, "ErrorCode")
			r.want("Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.",
				"Records", i, "ErrorMessage")
			r.want("", "Records", i, "SequenceNumber")
		}
		if got := len(w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).each("Records", "Data")); got != 436 {
			t.Errorf("%d records are readable", got)
		}
		// Smaller records behind a refused one still fit.
		if left := put(1700, 1).get("FailedRecordCount") + put(1, 3).get("FailedRecordCount"); left != "00" {
			t.Errorf("what is left takes too little: %s", left)
		}
		w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":%q}`, b64(strings.Repeat("x", 2000))).fails(
			exceeded, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
		w.advance(500 * time.Millisecond)
		put(1000, 500).want("0", "FailedRecordCount")
		w.advance(time.Hour) // no more than a second's worth is saved up
		put(2400, 500).want("64", "FailedRecordCount")
	})
}

// L-08: write toggle on; 1,001 PutRecord in under 1 s, 1 byte each · at least one 400
// ProvisionedThroughputExceededException.
func TestAShardTakesAThousandRecordsASecond(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 2)
		put := func(hash string) reply {
			return w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"YQ==","ExplicitHashKey":%q}`, hash)
		}
		for i := range 1000 {
			if r := put("0"); r.status != 200 {
				t.Fatalf("record %d: %s", i, r.body)
			}
		}

		put("0").fails(exceeded, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
		if r := put(maxHash); r.status != 200 {
			t.Errorf("the other shard: %s", r.body)
		}
		w.advance(time.Millisecond)
		if a, b := put("0").status, put("0").status; a != 200 || b != 400 {
			t.Errorf("a millisecond later: %d, %d", a, b)
		}
	})
}

// Children of a reshard begin with full buckets, and a record larger than a second's worth is taken when enough has
// been saved up.
func TestRatesFollowShardsAndSizes(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 1)
		put := func(size int) int {
			return w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":%q}`,
				b64(strings.Repeat("x", size-1))).status
		}
		if a, b := put(1<<20), put(1<<20); a != 200 || b != 400 {
			t.Errorf("two records of a mebibyte: %d, %d", a, b)
		}
		w.split("s", 0)
		if a, b := put(1<<20), put(1<<20); a != 200 || b != 400 {
			t.Errorf("after a split: %d, %d", a, b)
		}
		w.ok("UpdateMaxRecordSize", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","MaxRecordSizeInKiB":3072}`)
		w.advance(time.Hour)
		if a, b := put(3<<20), put(1); a != 200 || b != 400 {
			t.Errorf("a record of three mebibytes, and one more: %d, %d", a, b)
		}
		w.advance(2900 * time.Millisecond)
		if a, b := put(3<<20), put(1<<20); a != 400 || b != 200 {
			t.Errorf("less than three seconds later: %d, and a mebibyte %d", a, b)
		}
	})
}

// L-09: read toggle on; 6 GetRecords in 1 s · the sixth fails, text Rate exceeded for Shard -
// 000000000000/s/shardId-000000000000.
func TestAShardIsReadFiveTimesASecond(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 2)
		const text = "Rate exceeded for Shard - 000000000000/s/shardId-000000000000"
		i, other := w.iterator("s", "0", "LATEST", ""), w.iterator("s", "1", "LATEST", "")
		for range 5 {
			w.read(i)
			w.advance(150 * time.Millisecond)
		}

		w.call("GetRecords", `{"ShardIterator":%q}`, i).fails(exceeded, text)
		w.read(other)
		w.advance(250 * time.Millisecond) // the first of the five is a second old
		w.read(i)
		w.call("GetRecords", `{"ShardIterator":%q}`, i).fails(exceeded, text)

		get := func() reply {
			return w.call("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"LATEST"}`)
		}
		w.advance(time.Second)
		for range 5 {
			get()
		}
		get().fails(exceeded, text)
	})
}

// A shard gives two mebibytes a second, and nothing for five seconds after ten.
func TestAShardGivesTwoMebibytesASecond(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 1)
		for range 13 {
			w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":%q}`, b64(strings.Repeat("x", 1<<20-1)))
			w.advance(time.Second)
		}
		i := w.iterator("s", "0", "TRIM_HORIZON", "")
		read := func(limit int) int {
			return w.call("GetRecords", `{"ShardIterator":%q,"Limit":%d}`, i, limit).status
		}

		if a, b, c := read(1), read(1), read(1); a != 200 || b != 200 || c != 400 {
			t.Errorf("three reads of a mebibyte at once: %d %d %d", a, b, c)
		}
		w.advance(600 * time.Millisecond)
		if a, b, c := read(1), read(1), read(1); a != 200 || b != 200 || c != 400 { // while anything is left
			t.Errorf("more than half a second later: %d %d %d", a, b, c)
		}
		w.advance(10 * time.Second)
		if a, b := read(10), read(1); a != 200 || b != 400 {
			t.Errorf("ten mebibytes, and one more: %d %d", a, b)
		}
		w.advance(4900 * time.Millisecond)
		if got := read(1); got != 400 {
			t.Errorf("before five seconds have passed: %d", got)
		}
		w.advance(200 * time.Millisecond)
		if got := read(1); got != 200 {
			t.Errorf("after five seconds: %d", got)
		}
	})
}

// L-11: call-rate toggle on; 6 CreateStream within 1 s · one 400 LimitExceededException, message starts Rate exceeded.
func TestCallsAreLimited(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		const code = "LimitExceededException"
		for i := range 5 {
			w.create([]string{"s0", "s1", "s", "s3", "s4"}[i], 1)
			w.advance(100 * time.Millisecond)
		}
		w.call("CreateStream", `{"StreamName":"more"}`).fails(code, "Rate exceeded for stream more under account 000000000000.")
		w.region = "us-west-2"
		w.create("s", 1)
		w.region = "us-east-1"
		w.advance(501 * time.Millisecond)
		w.create("more", 1)

		// Of the account, whatever the stream; of a stream, whatever the others; about the account itself.
		for range 10 {
			w.ok("DescribeStream", `{"StreamName":"s0"}`)
		}
		w.call("DescribeStream", `{"StreamName":"s1"}`).fails(code, "Rate exceeded for stream s1 under account 000000000000.")
		w.ok("DescribeStreamSummary", `{"StreamName":"s1"}`)
		for range 1000 {
			w.ok("ListShards", `{"StreamName":"s0"}`)
		}
		w.call("ListShards", `{"StreamName":"s0"}`).fails(code, "Rate exceeded for stream s0 under account 000000000000.")
		w.ok("ListShards", `{"StreamName":"s1"}`)
		w.ok("DescribeLimits", `{}`)
		w.call("DescribeLimits", `{}`).fails(code, "Rate exceeded for account 000000000000.")
		consumer := w.register("c")
		for range 20 {
			w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, consumer)
		}
		w.call("DescribeStreamConsumer", `{"ConsumerARN":%q}`, consumer).fails(
			code, "Rate exceeded for stream s under account 000000000000.")
		for range 5 {
			w.ok("ListStreams", `{}`)
		}
		w.call("ListStreams", `{}`).fails(code, "Rate exceeded for account 000000000000.")
		w.advance(time.Second)
		w.ok("DescribeStream", `{"StreamName":"s1"}`)
		w.ok("ListShards", `{"StreamName":"s0"}`)
		w.ok("DescribeLimits", `{}`)
		w.ok("ListStreams", `{}`)
	})
}

// UpdateShardCount 10, UpdateStreamMode 2 and changes of encryption 25 times in 24 hours, over restarts.
func TestChangesOfADayAreCounted(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 2)
		const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
		refused := func(r reply, what string, n int) {
			t.Helper()
			r.fails("LimitExceededException", fmt.Sprintf("%s succeeded %d times for stream s under account 000000000000 "+
				"within 24 hours; no more is possible before the first of them is a day old.", what, n))
		}
		scale := func(n int) reply {
			return w.call("UpdateShardCount", `{"StreamName":"s","TargetShardCount":%d,"ScalingType":"UNIFORM_SCALING"}`, n)
		}
		mode := func(m string) reply {
			return w.call("UpdateStreamMode", `{"StreamARN":%q,"StreamModeDetails":{"StreamMode":%q}}`, arn, m)
		}
		encrypt := func(i int) reply {
			op := []string{"StartStreamEncryption", "StopStreamEncryption"}[i%2]
			return w.call(op, `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/a"}`)
		}
		for i := range 10 {
			if r := scale(2 + i%2); r.status != 200 {
				t.Fatalf("%d: %s", i, r.body)
			}
			w.advance(time.Minute)
		}
		refused(scale(2), "UpdateShardCount has", 10)
		mode("ON_DEMAND")
		mode("ON_DEMAND") // no change
		mode("PROVISIONED")
		refused(mode("ON_DEMAND"), "UpdateStreamMode has", 2)
		for i := range 25 {
			if r := encrypt(i); r.status != 200 {
				t.Fatalf("%d: %s", i, r.body)
			}
		}
		w.streams.Stop()
		w.reopen(stream.Options{Limits: true})
		refused(encrypt(25), "StartStreamEncryption and StopStreamEncryption have", 25)
		refused(scale(2), "UpdateShardCount has", 10)

		w.advance(24*time.Hour - 9*time.Minute - 30*time.Second)
		if a, b := scale(2), scale(3); a.status != 200 || b.status != 400 {
			t.Errorf("a day after the first: %d, %d", a.status, b.status)
		}
		w.advance(10 * time.Minute)
		if a, b := mode("ON_DEMAND"), encrypt(25); a.status != 200 || b.status != 200 {
			t.Errorf("a day later: %s %s", a.body, b.body)
		}
		w.streams.Stop()
		w.reopen(stream.Options{})
		for i := range 12 { // not limited, not counted
			if r := scale(2 + i%2); r.status == 200 || strings.Contains(r.body, "On-Demand") {
				continue
			}
			t.Fatalf("%d without limits", i)
		}
	})
}

// 6.1: more than 1 call/s per consumer + shard, none of them successful · 400 LimitExceededException. While a
// subscription is young, it is what keeps others out, F-05.
func TestSubscriptionsAreLimited(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 2)
		arn := w.register("c")
		const tooOften, text = "LimitExceededException", "Rate exceeded for stream s under account 000000000000."
		const bad, why = `{"Type":"AT_TIMESTAMP"}`, "Must specify timestampInMillis parameter for iterator of type " +
			"AT_TIMESTAMP. Current request has no timestamp parameter."

		w.refused(arn, shard0, bad, "InvalidArgumentException", why)
		w.refused(arn, shard0, fromLatest, tooOften, text)
		w.begun(arn, "shardId-000000000001", fromLatest)
		w.advance(time.Second)
		s := w.begun(arn, shard0, fromLatest)
		w.refused(arn, shard0, fromLatest, "ResourceInUseException",
			"Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c")
		w.advance(5 * time.Second)
		w.begun(arn, shard0, fromLatest)
		if got := s.message(); !strings.HasPrefix(got, "exception ResourceInUseException ") {
			t.Errorf("the first is told %s", got)
		}
	})
}

// A subscription brings two mebibytes a second, and a GetRecords of the same shard has a rate of its own.
func TestASubscriptionBringsTwoMebibytesASecond(t *testing.T) {
	limited(t, func(t *testing.T, w *world) {
		w.create("s", 1)
		arn := w.register("c")
		for range 8 {
			w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":%q}`, b64(strings.Repeat("x", 1<<20-1)))
			w.advance(time.Second)
		}
		began := time.Now()

		s := w.begun(arn, shard0, fromHorizon)
		for range 8 {
			if got := s.keys(); got != "a" {
				t.Errorf("an event brings %q", got)
			}
		}

		if took := time.Since(began); took < 3500*time.Millisecond || took > 4*time.Second {
			t.Errorf("eight mebibytes took %s", took)
		}
		w.read(w.iterator("s", "0", "TRIM_HORIZON", ""))
	})
}
