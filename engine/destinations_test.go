package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/destination/destinationtest"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

const topicARN = "arn:aws:sns:" + region + ":" + account + ":discards"

// testTopics shows topics to destinations, as the server does.
type testTopics struct{ topics *topic.Topics }

func (t testTopics) PublishNotice(ctx context.Context, account, region, name, id string, message []byte) error {
	return t.topics.PublishNotice(
		ctx, topic.Name{Account: account, Region: region, Name: name}, id, string(message),
	)
}

// Deliver puts a topic's copy into a queue, as the server does.
func (q testQueues) Deliver(ctx context.Context, queueARN, id string, c topic.Copy) error {
	a, _ := arn.Parse(queueARN)
	_, err := q.queues.Send(ctx, queue.Name{Account: a.Account, Region: a.Region, Name: a.Resource}, queue.Message{
		Body: c.Body, DedupID: id,
	})
	if destination.Refused(err) {
		return fmt.Errorf("%w: %w", topic.ErrRefused, err)
	}
	return err
}

// The topics behind notices are wired here as the server wires them.
func TestTopicsOfTestsAreADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, func(t *testing.T) *destinationtest.Bench {
		return destinationtest.Topic(t, func() storage.Local { return memory.New(memory.Options{}).Local() },
			func(qs *queue.Queues) topic.Queues { return testQueues{qs} },
			func(ts *topic.Topics) destination.Topics { return testTopics{ts} })
	})
}

// makeTopic makes the topic that discards go to, with the dead-letter queue as its subscriber.
func (w *world) makeTopic() {
	w.t.Helper()
	a, _ := arn.Parse(topicARN)
	name := topic.Name{Account: a.Account, Region: a.Region, Name: a.Resource}
	w.must(w.topics.Create(w.t.Context(), name, nil, nil))
	_, err := w.topics.Subscribe(w.t.Context(), name, account, dead.ARN(), nil)
	w.must(err)
}

// S-81: "Notification.Message parses to the §5.7 document."
func TestATopicGetsTheDocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.makeTopic()
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{
			MaxRetries: p(int64(1)), Destination: &mapping.DestinationConfig{OnFailure: topicARN},
		})
		w.put("k", "one", "two")
		w.pass(time.Minute)

		got := w.notices()
		if len(got) != 1 {
			t.Fatalf("%d messages: %q", len(got), got)
		}
		var envelope struct{ Type, TopicArn, Message string }
		w.must(json.Unmarshal([]byte(got[0]), &envelope))
		const instant = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
		document := regexp.MustCompile(`^\{"requestContext":\{"requestId":"[0-9a-f-]{36}","functionArn":"[^"]*:function:f",` +
			`"condition":"RetryAttemptsExhausted","approximateInvokeCount":2\},"responseContext":\{"statusCode":200,` +
			`"executedVersion":"[^"]+","functionError":"Unhandled"\},"version":"1.0","timestamp":"` + instant + `",` +
			`"KinesisBatchInfo":\{"shardId":"shardId-000000000000","startSequenceNumber":"\d+","endSequenceNumber":"\d+",` +
			`"approximateArrivalOfFirstRecord":"` + instant + `","approximateArrivalOfLastRecord":"` + instant + `",` +
			`"batchSize":2,"streamArn":"` + orders.ARN() + `"\}\}$`)
		if envelope.Type != "Notification" || envelope.TopicArn != topicARN || !document.MatchString(envelope.Message) {
			t.Errorf("got %s", got[0])
		}
	})
}

// S-84: "destination queue deleted: DestinationDeliveryFailures 1, DroppedEventCount += n,
// OnFailureDestinationDelivered not emitted, lane continues." So for a topic and a bucket.
func TestADestinationThatIsGoneCostsTheRecordsAndNotTheLane(t *testing.T) {
	t.Parallel()
	for kind, to := range map[string]string{
		"queue": deadARN + "-missing", "topic": topicARN, "bucket": bucketARN,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.bucket.Remove(true)
				w.functions.handle = func(i invocation) function.Result {
					if i.data[0] == "bad" {
						return failure()
					}
					return ok()
				}
				uuid := w.create(mapping.Knobs{
					MaxRetries: p(int64(0)), Metrics: []string{"EventCount"},
					Destination: &mapping.DestinationConfig{OnFailure: to},
				})
				w.put("k", "bad", "x", "y")
				w.pass(time.Minute)
				w.put("k", "good")
				w.pass(time.Minute)

				if got := w.total(metric.DeliveryFailures, metric.FunctionName, "f"); got.Sum != 1 {
					t.Errorf("DestinationDeliveryFailures is %g", got.Sum)
				}
				if got := w.total(metric.DroppedEvents, metric.MappingUUID, uuid); got.Sum != 3 {
					t.Errorf("DroppedEventCount is %g", got.Sum)
				}
				if got := w.total(metric.DeliveredEvents, metric.MappingUUID, uuid); got.Count != 0 {
					t.Errorf("OnFailureDestinationDeliveredEventCount is %+v", got)
				}
				if seen := w.functions.seen(); len(seen) != 2 || seen[1].data[0] != "good" {
					t.Errorf("the lane does not go on: %d invocations", len(seen))
				}
				if hints := w.hinted(); len(hints) != 1 || !strings.Contains(hints[0], "refused it three times") {
					t.Errorf("hints %q", hints)
				}
			})
		})
	}
}

// S-86: "crash after the destination send and before the checkpoint write: the batch may be retried and a second
// destination record appears; never zero records." A queue and the subscribers of a topic have the notice once; objects
// of the repeat end in the same uuid.
func TestACrashAfterANoticeRepeatsIt(t *testing.T) {
	t.Parallel()
	for kind, to := range map[string]string{"queue": deadARN, "topic": topicARN, "bucket": bucketARN} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.makeTopic()
				w.functions.handle = func(invocation) function.Result { return failure() }
				w.create(mapping.Knobs{MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: to}})
				w.coord.fail(failing("commit", "checkpoint/")) // nothing is saved any more
				w.put("k", "one")
				w.pass(time.Minute)
				objects := w.bucket.Take()
				now, cancel := context.WithCancel(t.Context())
				cancel()
				w.engine.Stop(now)
				w.coord.fail(nil)
				w.start()
				w.pass(time.Minute)

				if n := len(w.functions.seen()); n != 2 {
					t.Errorf("%d invocations: the crash left a checkpoint", n)
				}
				again := w.bucket.Take()
				if kind != "bucket" {
					if got := w.notices(); len(got) != 1 {
						t.Errorf("%d notices: %q", len(got), got)
					}
					return
				}
				if len(objects) != 1 || len(again) != 1 {
					t.Fatalf("%d objects, %d after the crash", len(objects), len(again))
				}
				var ends []string
				for _, all := range []map[string]string{objects, again} {
					for key := range all {
						ends = append(ends, key[len(key)-36:])
					}
				}
				if ends[0] != ends[1] {
					t.Errorf("objects of one notice end in %q", ends)
				}
			})
		})
	}
}

// S-86: "a second destination record appears": but not in a queue that knows the first. What was given up at the end of
// its retries, and after a crash because it had grown too old, is the same notice.
func TestAnotherReasonForTheSameRecordsIsTheSameNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), MaxAgeSeconds: p(int64(60)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.coord.fail(failing("commit", "checkpoint/")) // nothing is saved any more
		w.put("k", "1", "2")
		w.pass(time.Second)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(now)
		w.coord.fail(nil)
		w.pass(2 * time.Minute)
		w.start()
		w.pass(time.Minute)

		notices := w.notices()
		if len(notices) != 1 || !strings.Contains(notices[0], `"condition":"RetryAttemptsExhausted"`) {
			t.Errorf("%d notices: %s", len(notices), notices)
		}
		if n := len(w.functions.seen()); n != 1 {
			t.Errorf("%d invocations", n)
		}
	})
}

// S-86: "never zero records." A notice that is abandoned because the engine stops was not refused, whatever its sender
// says: with two refusals before, a third one would drop it.
func TestAnAbandonedNoticeIsNotRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		late := queue.Name{Account: account, Region: region, Name: dead.Name + "-late"}
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: late.ARN()},
		})
		w.put("k", "one")
		w.pass(2500 * time.Millisecond) // refused twice: the queue is not there
		held := make(chan struct{})
		w.notice.Store(&held)
		w.pass(time.Minute)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(now)
		w.notice.Store(nil)
		w.must(w.queues.Create(t.Context(), late, queue.Given{}))
		w.start()
		w.pass(time.Minute)

		if n := w.total(metric.DroppedEvents, metric.FunctionName, "f"); n.Sum != 0 {
			t.Errorf("%g records are dropped", n.Sum)
		}
		if got := w.messages(late); len(got) != 1 {
			t.Errorf("%d notices", len(got))
		}
	})
}

// S-86: "never zero records." After a crash that follows a notice on the records at the front of a batch that had grown
// too old, more of them have: the longer front is no repeat of the first notice, so that no queue drops it.
func TestALongerFrontThatGrewTooOldIsAnotherNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", "1", "2")
		w.pass(30 * time.Second)
		w.put("k", "3", "4")
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{
			MaxAgeSeconds: p(int64(60)), Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(25 * time.Second)
		w.coord.fail(failing("commit", "checkpoint/")) // nothing is saved any more
		w.pass(15 * time.Second)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(now)
		w.coord.fail(nil)
		w.pass(time.Minute)
		w.start()
		w.pass(time.Minute)

		if sizes := w.batchSizes(); !slices.Equal(sizes, []int{2, 4}) {
			t.Errorf("notices on %v records, want the front of 2, and all 4 after the crash", sizes)
		}
	})
}

// Contract 5.7: batchSize is the "number of records between start and end that were in the batch (filtered-out records
// not counted)".
func TestANoticeCountsTheRecordsOfItsBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), BatchingWindowSeconds: p(int64(1)), Filters: []string{`{"data":{"n":[1]}}`},
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.put("k", `{"n":1}`, `{"n":2}`, `{"n":2}`, `{"n":1}`, `{"n":1}`)
		w.pass(time.Minute)
		if sizes := w.batchSizes(); !slices.Equal(sizes, []int{3}) {
			t.Errorf("notices on %v records, want 3", sizes)
		}
	})
}

// Contract 5.7: "functionError: JSON null, not absent, for reported failures", and the version is that which ran.
func TestAReportedFailureHasAVersionAndNoError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(i invocation) function.Result {
			res := ok()
			res.Payload = fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, i.sequences[0])
			res.ExecutedVersion = "" // as from a server that does not say it
			return res
		}
		w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), ResponseTypes: []string{"ReportBatchItemFailures"},
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.put("k", "a")
		w.pass(time.Minute)
		const want = `"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null}`
		if got := w.notices(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("notices %q", got)
		}
	})
}

// batchSizes are the numbers of records that notices name, by notice.
func (w *world) batchSizes() (sizes []int) {
	w.t.Helper()
	for _, text := range w.notices() {
		var n struct{ KinesisBatchInfo struct{ BatchSize int } }
		w.must(json.Unmarshal([]byte(text), &n))
		sizes = append(sizes, n.KinesisBatchInfo.BatchSize)
	}
	return sizes
}
