package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// fannedOut is what a client has read from a shard by SubscribeToShard.
type fannedOut struct {
	Data   []string
	Behind int64
	Last   string // the last ContinuationSequenceNumber
	Again  string // what a second subscription was told
}

// F-13 and F-02: boto3 over HTTP/1.1, and the SDKs for Go and JavaScript, the latter over HTTP/2 with prior knowledge
// and, over TLS, by agreement (it speaks nothing else), iterate an EventStream for three events: parsed, no error on
// the first, each at once. F-05: a second subscription gets the modelled exception.
func TestClientsReadByFanOut(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	c := s.clients()
	c.createStream(t, "orders", 1)
	h := newHome(t)
	secure := start(t, h, "dev", "--tls-self-signed="+h.path("tls"))
	secure.plain().clients().createStream(t, "orders", 1)
	for _, client := range []struct {
		name string
		read func() fannedOut
	}{
		{"go", func() fannedOut { return c.fannedOut(t, "orders") }},
		{"boto3", func() fannedOut {
			return s.fannedOut(t, venv(t, "python3"), absolute(t, "testdata/fanout.py"), s.Endpoint, "orders")
		}},
		{"javascript", func() fannedOut {
			return s.fannedOut(t, "node", absolute(t, "javascript/fanout.mjs"), "orders")
		}},
		{"javascript", func() fannedOut {
			ca := "NODE_EXTRA_CA_CERTS=" + h.path("tls/ca.pem")
			return secure.fannedOut(t, "env", ca, "node", absolute(t, "javascript/fanout.mjs"), "orders")
		}},
	} {
		name, began := client.name, time.Now()
		got := client.read()
		mine := slices.DeleteFunc(slices.Clone(got.Data), func(d string) bool { return !strings.HasPrefix(d, name) })
		want := "Another active subscription exists for this consumer: 000000000000:orders:shardId-000000000000:" + name
		if !slices.Equal(mine, []string{name + " 0", name + " 1", name + " 2"}) || got.Again != want ||
			len(got.Last) != 56 || got.Behind != 0 {
			t.Errorf("%s reads %+v", name, got)
		}
		t.Logf("%s takes %s", name, time.Since(began))
	}
}

// fannedOut runs a script that prints a fannedOut.
func (s *server) fannedOut(t *testing.T, program string, args ...string) (r fannedOut) {
	t.Helper()
	stdout, stderr, err := s.command(t, program, args...)
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &r)
	}
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, stdout, stderr)
	}
	return r
}

// consumer registers a consumer, which is ACTIVE at once.
func (c clients) consumer(t *testing.T, stream, name string) string {
	t.Helper()
	out, err := c.kinesis.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: aws.String(streamARN(stream)), ConsumerName: &name,
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Consumer.ConsumerARN
}

func (c clients) fannedOut(t *testing.T, stream string) (r fannedOut) {
	t.Helper()
	consumer := c.consumer(t, stream, "go")
	subscribe := func() (*kinesis.SubscribeToShardOutput, error) {
		return c.kinesis.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{
			ConsumerARN: &consumer, ShardId: aws.String("shardId-000000000000"),
			StartingPosition: &kinesistypes.StartingPosition{Type: kinesistypes.ShardIteratorTypeLatest},
		})
	}
	out, err := subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.GetStream().Close() }()
	var inUse *kinesistypes.ResourceInUseException
	if _, err := subscribe(); errors.As(err, &inUse) {
		r.Again = *inUse.Message
	}
	c.put(t, stream, "k", "go 0")
	for event := range out.GetStream().Events() {
		e := event.(*kinesistypes.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		for _, rec := range e.Records {
			r.Data = append(r.Data, string(rec.Data))
		}
		r.Last, r.Behind = *e.ContinuationSequenceNumber, *e.MillisBehindLatest
		if len(r.Data) == 3 {
			return r
		}
		c.put(t, stream, "k", fmt.Sprint("go ", len(r.Data)))
	}
	t.Fatalf("the stream ends with %v: %v", r.Data, out.GetStream().Err())
	return r
}
