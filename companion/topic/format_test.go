package topic

import (
	"errors"
	"reflect"
	"testing"

	"github.com/shardmill/shardmill/storage"
)

// The bytes of docs/format/topic.md. A change here is a change of the format: it needs a new version.
func TestStoredBytesAreAsDocumented(t *testing.T) {
	t.Parallel()
	const id = "89c2f2cf-3bac-4535-a995-20c5867e67e8"
	for got, want := range map[string]string{
		string(topicKey(orders)):            "topic/t/111122223333/eu-west-1/orders",
		string(subscriptionKey(orders, id)): "topic/s/111122223333/eu-west-1/orders/" + id,
		string(encode(meta{
			Version: formatVersion, Created: 5, DisplayName: "d", Policy: "p", Tags: []Tag{{"a", "1"}},
		})): `{"v":1,"created":5,"displayName":"d","policy":"p","tags":[{"k":"a","v":"1"}]}`,
		string(encode(subscribed{
			Version: formatVersion, Created: 5, Owner: "o", Queue: "q", Raw: true,
		})): `{"v":1,"created":5,"owner":"o","queue":"q","raw":true}`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A value of another version, or damaged, is told and not guessed at.
func TestAnUnknownVersionIsRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{"v":2,"created":5}`, `{}`, ``, `{"v":1,"created":"x"}`} {
		if _, err := decode[meta](topicKey(orders), []byte(value)); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// Whatever the bytes, reading them does not panic, and what is accepted survives another round.
func FuzzStoredSubscriptions(f *testing.F) {
	const id = "89c2f2cf-3bac-4535-a995-20c5867e67e8"
	f.Add(string(subscriptionKey(orders, id)), `{"v":1,"created":5,"owner":"o","queue":"q","raw":true}`)
	f.Add("topic/s/a/b/c/d", `{}`)
	f.Fuzz(func(t *testing.T, key, value string) {
		s, err := subscriptionOf([]byte(key), []byte(value))
		if err != nil {
			return
		}
		if got := string(subscriptionKey(s.Topic, s.ID)); got != key {
			t.Errorf("the key %q became %q", key, got)
		}
		again, err := subscriptionOf(
			[]byte(key), encode(subscribed{Version: formatVersion, Owner: s.Owner, Queue: s.Queue, Raw: s.Raw}),
		)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v became %+v: %v", s, again, err)
		}
	})
}

// Whatever is published as JSON, the text for queues is one of its texts or a refusal.
func FuzzMessageStructure(f *testing.F) {
	for _, s := range []string{
		`{"default":"d","sqs":"q"}`, `{"default":null}`, `null`, `{"default":"\ud800"}`, `[]`,
		`{"default":"a","sqs":{}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m := Message{Body: body, Structured: true}
		text, err := m.forQueues()
		if err != nil && text != "" {
			t.Errorf("%q: %q and %v", body, text, err)
		}
	})
}
