package destinationtest

import (
	"encoding/json"
	"testing"

	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/storage"
)

// Topic returns a topic with a subscribed queue as a destination, over stores that fresh makes. copies and notices
// adapt the queues to the topics, and the topics to the kind of destination. What the queue gets is unwrapped.
func Topic(
	t *testing.T, fresh func() storage.Local, copies func(*queue.Queues) topic.Queues,
	notices func(*topic.Topics) destination.Topics,
) *Bench {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dead := topic.Name{Account: "111122223333", Region: "eu-west-1", Name: "dead"}
	var ts *topic.Topics
	b := queueBench(t, fresh, func(q *queue.Queues, local storage.Local) destination.Sender {
		var err error
		ts, err = topic.New(topic.Options{Local: local, Queues: copies(q)})
		must(err)
		t.Cleanup(ts.Stop)
		to, err := destination.Table{destination.SNS(notices(ts))}.Open(dead.ARN())
		must(err)
		return to
	})
	makeTopic := func() {
		must(ts.Create(t.Context(), dead, nil, nil))
		_, err := ts.Subscribe(t.Context(), dead, dead.Account, deadQueue.ARN(), nil)
		must(err)
	}
	makeTopic()
	wrapped := b.Take
	b.Take = func() (messages []string) {
		for _, body := range wrapped() {
			var envelope struct{ Type, TopicArn, Message string }
			must(json.Unmarshal([]byte(body), &envelope))
			if envelope.Type != "Notification" || envelope.TopicArn != dead.ARN() {
				t.Errorf("the envelope %s", body)
			}
			messages = append(messages, envelope.Message)
		}
		return messages
	}
	b.Largest = topic.MaxMessageBytes
	b.Remove, b.Make = func() { must(ts.Delete(t.Context(), dead)) }, makeTopic
	b.Stop = func() { ts.Stop() }
	return b
}
