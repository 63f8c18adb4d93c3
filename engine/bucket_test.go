package engine_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
)

const bucketARN = "arn:aws:s3:::discards"

// object is what a reader of the bucket parses.
type object struct {
	RequestContext struct {
		Condition   string
		InvokeCount int `json:"approximateInvokeCount"`
	}
	ResponseContext *struct{ StatusCode int }
	Timestamp       string
	Batch           struct {
		ShardID   string `json:"shardId"`
		First     string `json:"startSequenceNumber"`
		Last      string `json:"endSequenceNumber"`
		Size      int    `json:"batchSize"`
		FirstSeen string `json:"approximateArrivalOfFirstRecord"`
		LastSeen  string `json:"approximateArrivalOfLastRecord"`
		StreamARN string `json:"streamArn"`
	} `json:"KinesisBatchInfo"`
	Payload string
}

// objects empties the bucket and parses what was there, by key.
func (w *world) objects() map[string]object {
	w.t.Helper()
	all := map[string]object{}
	for key, body := range w.bucket.Take() {
		var o object
		w.must(json.Unmarshal([]byte(body), &o))
		all[key] = o
	}
	return all
}

// S-82: "exactly one object, key prefix aws/lambda/<uuid>/<shardId>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-, date equal to
// body.timestamp in UTC; body has payload holding the full event of the discarded batch."
func TestAnObjectHoldsTheEventThatTheFunctionGot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var event string
		w.functions.handle = func(i invocation) function.Result {
			event = i.payload
			return failure()
		}
		uuid := w.create(mapping.Knobs{
			MaxRetries: p(int64(1)), Destination: &mapping.DestinationConfig{OnFailure: bucketARN},
		})
		w.put("k", "one", `{"two": "<\u00e9>"}`, "\x00\xff")
		w.pass(time.Minute)

		got := w.objects()
		if len(got) != 1 || len(w.functions.seen()) != 2 {
			t.Fatalf("%d objects after %d invocations: %v", len(got), len(w.functions.seen()), got)
		}
		for key, o := range got {
			at, err := time.Parse("2006-01-02T15:04:05.000Z", o.Timestamp)
			w.must(err)
			form := regexp.MustCompile("^aws/lambda/" + uuid + "/shardId-000000000000/" +
				regexp.QuoteMeta(at.Format("2006/01/02/2006-01-02T15.04.05")) + "-[0-9a-f-]{36}$")
			if !form.MatchString(key) {
				t.Errorf("the key %s of %s", key, o.Timestamp)
			}
			if o.Payload != event || o.Batch.Size != 3 || o.RequestContext.InvokeCount != 2 ||
				o.ResponseContext == nil {
				t.Errorf("%+v, and the function got\n%s", o, event)
			}
		}
	})
}

// Records that expired before they were tried are in the object as the function would have got them, and one that is
// too large for any invocation is, too.
func TestAnObjectHoldsRecordsThatWereNeverInvoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.limit = 0
		w.create(mapping.Knobs{
			MaxAgeSeconds: p(int64(60)), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: bucketARN},
		})
		w.put("k", "one", "two")
		w.pass(2 * time.Minute)

		got := w.objects()
		for _, o := range got {
			var event struct {
				Records []struct{ Kinesis struct{ Data []byte } }
			}
			w.must(json.Unmarshal([]byte(o.Payload), &event))
			if o.RequestContext.Condition != "RecordAgeExceeded" || o.RequestContext.InvokeCount != 1 ||
				o.ResponseContext != nil || len(event.Records) != 2 || string(event.Records[1].Kinesis.Data) != "two" {
				t.Errorf("%+v", o)
			}
		}
		if len(got) != 1 {
			t.Errorf("%d objects: %v", len(got), got)
		}
	})
}

// A batch in a tumbling window is in the object with the window and the state that its last invocation got; expired
// records whose window a throttled attempt opened have it without a state.
func TestAnObjectHoldsTheTumblingWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var event string
		fails := false
		w.functions.handle = func(i invocation) function.Result {
			if fails && !i.final {
				event = i.payload
				return failure()
			}
			return summing(i)
		}
		w.create(mapping.Knobs{
			TumblingWindowSeconds: p(int64(60)), MaxRetries: p(int64(0)), MaxAgeSeconds: p(int64(60)),
			Destination: &mapping.DestinationConfig{OnFailure: bucketARN},
		})
		w.put("k", "1")
		w.pass(time.Second)
		fails = true
		w.put("k", "2")
		w.pass(time.Second)
		failed := w.objects()
		fails = false
		w.functions.change(func() { w.functions.limit = 0 })
		w.pass(2 * time.Minute)
		w.put("k", "3")
		w.pass(3 * time.Minute)
		expired := w.objects()

		for _, o := range failed {
			if o.Payload != event || !strings.Contains(o.Payload, `"state":{"n":1}`) {
				t.Errorf("the object holds\n%s, and the function got\n%s", o.Payload, event)
			}
		}
		for _, o := range expired {
			if !strings.Contains(o.Payload, `"window":{"start":"2000-01-01T`) ||
				!strings.Contains(o.Payload, `"state":{},`) ||
				!strings.Contains(o.Payload, `"isFinalInvokeForWindow":false`) {
				t.Errorf("the object holds %s", o.Payload)
			}
		}
		if len(failed) != 1 || len(expired) != 1 {
			t.Errorf("%d and %d objects", len(failed), len(expired))
		}
	})
}

// A bucket that cannot be written is tried three times within three seconds and then given up (contract 5.8). One that
// comes back in time gets one object, under the time at which the records were given up.
func TestABucketIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(invocation) function.Result { return failure() }
		uuid := w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), BatchSize: p(int64(1)),
			Destination: &mapping.DestinationConfig{OnFailure: bucketARN},
		})
		w.bucket.Remove(true)
		given := w.clock.Now()
		w.put("k", "late")
		w.pass(2 * time.Second)
		w.bucket.Remove(false)
		w.pass(2 * time.Second)
		late := w.objects()
		w.bucket.Remove(true)
		w.put("k", "never")
		w.pass(2900 * time.Millisecond)
		before := w.state(uuid).LastResult
		w.pass(time.Second)
		after := w.state(uuid).LastResult
		w.bucket.Remove(false)
		w.pass(time.Minute)

		for key, o := range late {
			at, err := time.Parse("2006-01-02T15:04:05.000Z", o.Timestamp)
			w.must(err)
			if !strings.Contains(key, given.UTC().Format("2006-01-02T15.04.05")) ||
				at.Sub(given) > 500*time.Millisecond {
				t.Errorf("the key %s, the time %s; the records were given up at %s", key, at, given)
			}
		}
		if len(late) != 1 {
			t.Errorf("%d objects, want 1", len(late))
		}
		if got := w.objects(); len(got) != 0 {
			t.Errorf("%d objects about what was given up", len(got))
		}
		const lost = "PROBLEM: The on-failure destination cannot be written: NoSuchBucket: The specified bucket does not exist"
		if before == lost || after != lost {
			t.Errorf("the last result is %q, then %q", before, after)
		}
		if hints := w.hinted(); len(hints) != 1 || !strings.Contains(hints[0], "refused it three times") {
			t.Errorf("hints %q", hints)
		}
	})
}

// Records that were too old before the mapping read them (S-58) have their window in the object, too, without a state.
func TestAnObjectHoldsTheWindowThatNeverOpened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		w.put("k", "1")
		w.pass(2 * time.Minute)
		w.create(mapping.Knobs{
			TumblingWindowSeconds: p(int64(60)), MaxAgeSeconds: p(int64(60)),
			Destination: &mapping.DestinationConfig{OnFailure: bucketARN},
		})
		w.pass(time.Minute)

		got := w.objects()
		for _, o := range got {
			if !strings.Contains(o.Payload, `"window":{"start":"2000-01-01T`) ||
				!strings.Contains(o.Payload, `"state":{},`) {
				t.Errorf("the object holds %s", o.Payload)
			}
		}
		if len(got) != 1 || len(w.functions.seen()) != 0 {
			t.Errorf("%d objects after %d invocations", len(got), len(w.functions.seen()))
		}
	})
}
