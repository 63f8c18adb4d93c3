package e2e_test

import (
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/internal/kpl"
)

// The Kinesis Producer Library knows only TLS, and verifies a certificate that the server signed itself. It puts five
// thousand records in aggregates, and none of them is lost.
func TestKinesisProducerLibrary(t *testing.T) {
	byHand(t)
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--tls-self-signed="+h.path("tls"))
	c := s.plain().clients()
	c.createStream(t, "orders", 2)

	s.produce(t, filepath.Join(h.path("tls"), "ca.pem"))

	aggregates, seen := 0, map[string]bool{}
	see := func(data []byte) {
		if seen[string(data)] {
			t.Errorf("%s twice", data)
		}
		seen[string(data)] = true
	}
	for _, r := range c.everyRecord(t, "orders") {
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
	recorded, r := s.plain().recordedOver(t, (*httptest.Server).StartTLS)
	recorded.produce(t)
	r.listed(t, "Kinesis Producer Library")
}

// plain returns a server that speaks TLS as this machine's own clients may call it.
func (s *server) plain() *server {
	p := *s
	p.Endpoint = strings.Replace(s.Endpoint, "https:", "http:", 1)
	return &p
}

// produce puts five thousand records with the Kinesis Producer Library, which verifies the certificate if it is told
// whom to trust.
func (s *server) produce(t *testing.T, trust ...string) {
	t.Helper()
	address, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	java, args := jvm(
		t, "kpl", nil, "Produce", append([]string{address.Hostname(), address.Port(), "orders", "5000"}, trust...)...,
	)
	stdout, stderr, err := s.command(t, java, args...)
	if err != nil || stdout != "put: 5000\n" {
		t.Fatalf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
	}
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
