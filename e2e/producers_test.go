package e2e_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/internal/kpl"
)

// The Kinesis Producer Library knows only TLS. It puts five thousand records in aggregates, and none of them is lost.
func TestKinesisProducerLibrary(t *testing.T) {
	byHand(t)
	t.Parallel()
	direct := start(t, newHome(t), "dev")
	direct.clients().createStream(t, "orders", 2)
	s, r := direct.recordedOver(t, (*httptest.Server).StartTLS)
	address, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}

	java, args := jvm(t, "kpl", nil, "Produce", address.Hostname(), address.Port(), "orders", "5000")
	stdout, stderr, err := direct.command(t, java, args...)

	if err != nil || stdout != "put: 5000\n" {
		t.Fatalf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
	}
	aggregates, seen := 0, map[string]bool{}
	see := func(data []byte) {
		if seen[string(data)] {
			t.Errorf("%s twice", data)
		}
		seen[string(data)] = true
	}
	for _, r := range direct.clients().everyRecord(t, "orders") {
		aggregate, ok := kpl.Open(r.Data)
		if !ok { // a record that stood alone
			see(r.Data)
			continue
		}
		aggregates++
		for user := range aggregate.All() {
			see(user.Data)
		}
	}
	if len(seen) != 5000 || aggregates == 0 || aggregates > 1000 {
		t.Errorf("%d records in %d aggregates", len(seen), aggregates)
	}
	r.listed(t, "Kinesis Producer Library")
}

// everyRecord returns all records of a stream, shard by shard.
func (c clients) everyRecord(t *testing.T, stream string) (all []kinesistypes.Record) {
	t.Helper()
	for _, shard := range c.openShards(t, stream) {
		from, err := c.kinesis.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
			StreamName: &stream, ShardId: shard.ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			t.Fatal(err)
		}
		for next := from.ShardIterator; ; {
			page, err := c.kinesis.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				t.Fatal(err)
			}
			all = slices.Concat(all, page.Records)
			if next = page.NextShardIterator; next == nil || len(page.Records) == 0 && *page.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return all
}

// A route of Apache Camel puts records and reads them.
func TestCamel(t *testing.T) {
	byHand(t)
	t.Parallel()
	direct := start(t, newHome(t), "dev")
	direct.clients().createStream(t, "orders", 2)
	s, r := direct.recorded(t)

	java, args := jvm(t, "camel", nil, "Route")
	stdout, stderr, err := s.command(t, java, args...)

	if err != nil || stdout != "seen: 50, from 0 to 49\n" {
		t.Errorf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
	}
	r.listed(t, "Apache Camel")
}
