package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// O-30: StartStreamEncryption KMS alias/aws/kinesis; PutRecord; GetRecords; StopStreamEncryption; GetRecords again ·
// Describe shows KMS and that KeyId; PutRecord and the record carry EncryptionType KMS; after the stop the old record
// still does, new ones do not.
func TestRecordsShowTheEncryptionThatTheyArrivedUnder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.put("s", "before", "x")
	const set = `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`

	if r := w.ok("StartStreamEncryption", set); r.body != "" {
		t.Errorf("the answer is %q", r.body)
	}
	one := w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"one","Data":""}`)
	one.want("KMS", "EncryptionType")
	many := w.ok("PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"many","Data":""}]}`)
	many.want("KMS", "EncryptionType")
	many.want("", "Records", 0, "EncryptionType")
	for op, member := range map[string]string{
		"DescribeStream": "StreamDescription", "DescribeStreamSummary": "StreamDescriptionSummary",
	} {
		r := w.ok(op, `{"StreamName":"s"}`)
		r.want("KMS", member, "EncryptionType")
		r.want("alias/aws/kinesis", member, "KeyId")
	}
	i := w.iterator("s", "0", "TRIM_HORIZON", "")
	shown := func() string {
		return strings.Join(w.read(i).each("Records", "EncryptionType"), ",")
	}
	if got := shown(); got != ",KMS,KMS" {
		t.Errorf("encrypted: %q", got)
	}

	w.ok("StopStreamEncryption", set)
	w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"after","Data":""}`).want("", "EncryptionType")
	if got := shown(); got != ",KMS,KMS," {
		t.Errorf("stopped: %q", got)
	}
	r := w.ok("DescribeStream", `{"StreamName":"s"}`)
	r.want("NONE", "StreamDescription", "EncryptionType")
	r.want("", "StreamDescription", "KeyId")
	w.restart(20000)
	if got := shown(); got != ",KMS,KMS," {
		t.Errorf("after a restart: %q", got)
	}
}

// A subscription shows what its reader would see with GetRecords, also of what changed since it began.
func TestEventsShowTheEncryptionOfTheirRecords(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.begun(arn, shard0, fromLatest)
		for i, op := range []string{"StartStreamEncryption", "StopStreamEncryption"} {
			w.ok(op, `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/a"}`)
			w.put("s", "a", "")
			shown := ""
			for _, r := range s.event().Records {
				if r.EncryptionType != nil {
					shown += *r.EncryptionType
				}
			}
			if want := []string{"KMS", ""}[i]; shown != want {
				t.Errorf("after %s: %q, want %q", op, shown, want)
			}
		}
	})
}

// Starting it again replaces the key, stopping it twice changes nothing, and each stretch counts for itself.
func TestEncryptionStartsAndStopsAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	start := func(key string) {
		w.ok("StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":%q}`, key)
		w.ok("DescribeStream", `{"StreamName":"s"}`).want(key, "StreamDescription", "KeyId")
	}
	stop := func() {
		w.ok("StopStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/other"}`)
	}
	for _, step := range []func(){
		func() { start("alias/aws/kinesis") },
		func() { start("1234abcd-12ab-34cd-56ef-1234567890ab") },
		stop,
		stop,
		func() { start("arn:aws:kms:us-east-1:111111111111:key/mrk-1234abcd12ab34cd56ef1234567890ab") },
		func() { start("arn:aws:kms:us-east-1:111111111111:alias/team/orders") },
		stop,
	} {
		step()
		w.put("s", "a", "")
	}

	shown := w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).each("Records", "EncryptionType")
	if got := strings.Join(shown, ","); got != "KMS,KMS,,,KMS,KMS," {
		t.Errorf("encrypted: %q", got)
	}
}

func TestKeysOfEncryptionAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	for _, op := range []string{"StartStreamEncryption", "StopStreamEncryption"} {
		set := func(kind, key string) reply {
			return w.call(op, `{"StreamName":"s","EncryptionType":%q,"KeyId":%q}`, kind, key)
		}
		set("NONE", "alias/a").fails("InvalidArgumentException", "EncryptionType must be KMS; NONE was given.")
		for _, key := range []string{
			"a", "alias/", "alias/a b", "key/1234abcd-12ab-34cd-56ef-1234567890ab",
			"arn:aws:kms:us-east-1:111111111111:1234abcd-12ab-34cd-56ef-1234567890ab",
		} {
			set("KMS", key).fails(
				"InvalidArgumentException", "KeyId "+key+" is neither the id, the alias nor the ARN of a KMS key.")
		}
		for _, key := range []string{
			"arn:aws:kms:us-west-2:111111111111:alias/a", "arn:aws:kms:us-east-1:1:alias/a",
			"arn:aws:s3:us-east-1:111111111111:alias/a", "arn:aws-cn:kms:us-east-1:111111111111:alias/a",
		} {
			set("KMS", key).fails(
				"InvalidArgumentException", "KeyId "+key+" is not the ARN of a KMS key or alias in us-east-1.")
		}
		w.call(op, `{"StreamName":"s","EncryptionType":"AES","KeyId":""}`).fails("ValidationException",
			"2 validation errors detected: Value 'AES' at 'encryptionType' failed to satisfy constraint: "+
				"Member must satisfy enum value set: [NONE, KMS]; Value '' at 'keyId' failed to satisfy constraint: "+
				"Member must have length greater than or equal to 1")
		w.call(op, `{"StreamName":"q","EncryptionType":"KMS","KeyId":"a"}`).fails(
			"ResourceNotFoundException", "Stream q under account 000000000000 not found.")
	}
	w.ok("DescribeStream", `{"StreamName":"s"}`).want("NONE", "StreamDescription", "EncryptionType")
}

// O-25: 3 open provisioned shards, 1 on-demand stream, limit 20000 · DescribeLimits answers
// {"ShardLimit":20000,"OpenShardCount":3,"OnDemandStreamCount":1,"OnDemandStreamCountLimit":50}.
func TestLimitsAreDescribed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	w.split("s", 0)
	w.ok("CreateStream", `{"StreamName":"d"}`)
	w.region = "us-west-2"
	w.create("other", 5)
	w.region = "us-east-1"

	const want = `{"OnDemandStreamCount":1,"OnDemandStreamCountLimit":50,"OpenShardCount":3,"ShardLimit":20000}`
	if got := w.ok("DescribeLimits", `{}`).body; got != want {
		t.Errorf("the answer is %s, want %s", got, want)
	}
}

// O-26: a fresh account · Describe: DISABLED; UpdateAccountSettings ENABLED: ENABLED with EarliestAllowedEndAt =
// StartedAt + 86400; DISABLED at once: ENABLED_UNTIL_EARLIEST_ALLOWED_END.
func TestACommitmentLastsForADay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const member = "MinimumThroughputBillingCommitment"
	show := func(r reply) (text string) {
		for _, m := range []string{"Status", "StartedAt", "EarliestAllowedEndAt", "EndedAt"} {
			v := r.get(member, m)
			if v != "" && m != "Status" {
				v = m
			}
			text = strings.TrimSpace(text + " " + v)
		}
		return text
	}
	set := func(status string) reply { return w.ok("UpdateAccountSettings", `{%q:{"Status":%q}}`, member, status) }
	is := func(want string, r reply) {
		t.Helper()
		if got := show(r); got != want {
			t.Errorf("the settings are %q, want %q", got, want)
		}
		if got := w.ok("DescribeAccountSettings", `{}`).body; got != r.body {
			t.Errorf("described as %s, answered %s", got, r.body)
		}
	}
	const enabled = "ENABLED StartedAt EarliestAllowedEndAt"
	const leaving = "ENABLED_UNTIL_EARLIEST_ALLOWED_END StartedAt EarliestAllowedEndAt"

	is("DISABLED", set("DISABLED"))
	is(enabled, set("ENABLED"))
	r := set("ENABLED") // again
	is(enabled, r)
	var started, earliest float64
	_, _ = fmt.Sscan(r.get(member, "StartedAt"), &started)
	_, _ = fmt.Sscan(r.get(member, "EarliestAllowedEndAt"), &earliest)
	if started == 0 || earliest-started < 86399.9 || earliest-started > 86400.1 {
		t.Errorf("it began at %v and may end at %v", started, earliest)
	}
	is(leaving, set("DISABLED"))
	is(enabled, set("ENABLED"))
	is(leaving, set("DISABLED"))
	w.restart(20000)
	w.advance(25 * time.Hour)
	is("DISABLED StartedAt EndedAt", w.ok("DescribeAccountSettings", `{}`))
	is(enabled, set("ENABLED"))
	w.advance(25 * time.Hour)
	is("DISABLED StartedAt EndedAt", set("DISABLED"))

	w.access = friend
	is("DISABLED", w.ok("DescribeAccountSettings", `{}`))
	w.call("UpdateAccountSettings", `{}`).fails("ValidationException", "1 validation error detected: "+
		"Value null at 'minimumThroughputBillingCommitment' failed to satisfy constraint: Member must not be null")
	w.call("UpdateAccountSettings", `{%q:{"Status":"X"}}`, member).fails("ValidationException",
		"1 validation error detected: Value 'X' at 'minimumThroughputBillingCommitment.status' failed to satisfy "+
			"constraint: Member must satisfy enum value set: [ENABLED, DISABLED]")
}

// Warm throughput is for on-demand streams of accounts with a commitment, and gives a stream a shard for each MiB.
func TestWarmThroughputGivesShards(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ok("CreateStream", `{"StreamName":"d"}`)
	w.create("p", 1)
	const cold = "WarmThroughputMiBps needs an account whose MinimumThroughputBillingCommitment is enabled; " +
		"account 000000000000 has it disabled."
	warm := func(name string, n int) reply {
		return w.call("UpdateStreamWarmThroughput", `{"StreamName":%q,"WarmThroughputMiBps":%d}`, name, n)
	}
	shows := func(name, target, shards string) {
		t.Helper()
		r := w.ok("DescribeStreamSummary", `{"StreamName":%q}`, name)
		r.want(target, "StreamDescriptionSummary", "WarmThroughput", "TargetMiBps")
		r.want(target, "StreamDescriptionSummary", "WarmThroughput", "CurrentMiBps")
		r.want(shards, "StreamDescriptionSummary", "OpenShardCount")
	}

	warm("d", 8).fails("InvalidArgumentException", cold)
	w.call("CreateStream", `{"StreamName":"e","WarmThroughputMiBps":8}`).fails("InvalidArgumentException", cold)
	shows("d", "", "4")
	w.ok("UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}`)
	if got := warm("d", 11).body; got != `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/d",`+
		`"StreamName":"d","WarmThroughput":{"CurrentMiBps":11,"TargetMiBps":11}}` {
		t.Errorf("the answer is %s", got)
	}
	shows("d", "11", "11")
	warm("d", 5)
	shows("d", "5", "11") // it never loses shards
	warm("d", 0)
	shows("d", "", "11")
	w.ok("CreateStream", `{"StreamName":"e","WarmThroughputMiBps":7}`)
	shows("e", "7", "7")
	w.ok("CreateStream", `{"StreamName":"f","WarmThroughputMiBps":2}`)
	shows("f", "2", "4")

	const onlyOnDemand = "Only on-demand streams have a warm throughput; stream p under account 000000000000 is provisioned."
	warm("p", 8).fails("InvalidArgumentException", onlyOnDemand)
	warm("d", 10241).fails("InvalidArgumentException", "WarmThroughputMiBps is at most 10240; 10241 was given.")
	warm("q", 8).fails("ResourceNotFoundException", "Stream q under account 000000000000 not found.")
	warm("d", -1).fails("ValidationException", "1 validation error detected: Value '-1' at 'warmThroughputMiBps' "+
		"failed to satisfy constraint: Member must have value greater than or equal to 0")
	const mode = `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/p","StreamModeDetails":{"StreamMode":%q}%s}`
	w.call("UpdateStreamMode", mode, "PROVISIONED", `,"WarmThroughputMiBps":6`).fails("InvalidArgumentException", onlyOnDemand)
	w.ok("UpdateStreamMode", mode, "ON_DEMAND", `,"WarmThroughputMiBps":6`)
	shows("p", "6", "6")
	w.ok("UpdateStreamMode", mode, "ON_DEMAND", ``) // as it is
	shows("p", "6", "6")
	w.ok("UpdateStreamMode", mode, "PROVISIONED", ``)
	shows("p", "", "6")
}

// An on-demand stream of an account with a commitment has 50 consumers, not 20.
func TestACommitmentAllowsMoreConsumers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("p", 1)
	w.ok("CreateStream", `{"StreamName":"d"}`)
	w.ok("UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}`)
	for name, most := range map[string]int{"p": 20, "d": 50} {
		arn := "arn:aws:kinesis:us-east-1:000000000000:stream/" + name
		for i := range most {
			w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c%d"}`, arn, i)
		}
		w.call("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"more"}`, arn).fails("LimitExceededException",
			fmt.Sprintf("This request would exceed the limit of %d consumers for stream %s under account 000000000000.", most, name))
	}
}
