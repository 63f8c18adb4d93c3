package destinationtest

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/storage"
)

// Queue returns a queue as a destination, over stores that fresh makes. adapt adapts the queues to the kind of
// destination.
func Queue(t *testing.T, fresh func() storage.Local, adapt func(*queue.Queues) destination.Queues) *Bench {
	return queueBench(t, fresh, func(qs *queue.Queues, _ storage.Local) destination.Sender {
		to, err := destination.Table{destination.SQS(adapt(qs))}.Open(deadQueue.ARN())
		if err != nil {
			t.Fatal(err)
		}
		return to
	})
}

// deadQueue is the queue of a bench.
var deadQueue = queue.Name{Account: "111122223333", Region: "eu-west-1", Name: "dead"}

// queueBench returns a bench whose messages are in a queue. open makes the sender, after each start.
func queueBench(
	t *testing.T, fresh func() storage.Local, open func(*queue.Queues, storage.Local) destination.Sender,
) *Bench {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dead := deadQueue
	b := &Bench{Largest: queue.MaxMessageBytes}
	var qs *queue.Queues
	b.over(t, fresh, func(local storage.Local) (stop func()) {
		var err error
		qs, err = queue.New(queue.Options{Local: local})
		must(err)
		must(qs.Start(t.Context()))
		b.Sender = open(qs, local)
		return qs.Stop
	})
	b.Make = func() { must(qs.Create(t.Context(), dead, queue.Given{})) }
	b.Make()
	b.Take = func() (bodies []string) {
		hidden := time.Hour
		for {
			got, err := qs.Receive(t.Context(), dead, queue.ReceiveInput{Max: 10, VisibilityTimeout: &hidden})
			must(err)
			if len(got) == 0 {
				return bodies
			}
			for _, m := range got {
				bodies = append(bodies, m.Body)
				must(qs.Delete(t.Context(), dead, m.ReceiptHandle))
			}
		}
	}
	b.Remove = func() { must(qs.DeleteQueue(t.Context(), dead)) }
	return b
}
