package server

import (
	"archive/zip"
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/destination/destinationtest"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/mapping/mappingtest"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream"
)

// What this package wires keeps the contract that the fakes of other rooms' tests are held to.
func TestAdaptersKeepTheContract(t *testing.T) {
	t.Parallel()
	me := mapping.Caller{Account: "000000000000", Region: "us-east-1"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mappingtest.RunSources(t, func(t *testing.T) *mappingtest.Streams {
		s := stream.New(stream.Options{Store: memory.New(memory.Options{})})
		orders := stream.Name{Account: me.Account, Region: me.Region, Name: "orders"}
		return &mappingtest.Streams{
			Sources: sources{s}, ARN: orders.ARN(), Caller: me,
			Create: func() { must(s.Create(t.Context(), orders, stream.CreateInput{Shards: 1})) },
			Put: func() {
				_, err := s.PutRecords(t.Context(), orders, []record.Record{{Key: "k", Data: []byte("d")}})
				must(err)
			},
			Delete: func() { must(s.Delete(t.Context(), orders)) },
			Register: func() string {
				c, err := s.RegisterConsumer(t.Context(), orders, "c", nil)
				must(err)
				return c.ARN()
			},
			Deregister: func() {
				must(s.DeregisterConsumer(t.Context(), stream.ConsumerNamed(orders, "c")))
			},
		}
	})

	var code bytes.Buffer
	z := zip.NewWriter(&code)
	_, err := z.Create("bootstrap")
	must(err)
	must(z.Close())
	f, err := function.New(function.Options{Store: memory.New(memory.Options{}), Dir: t.TempDir()})
	must(err)
	must(f.Start(t.Context()))
	defer f.Stop(t.Context())
	_, err = f.Create(t.Context(), function.CreateInput{
		Name: "f", Caller: function.Caller{Account: me.Account, Region: me.Region}, Runtime: "provided.al2023",
		Handler: "h", Role: "arn:aws:iam::000000000000:role/r", Zip: code.Bytes(),
	})
	must(err)
	ref := function.Ref{Account: me.Account, Region: me.Region, Name: "f"}
	_, err = f.Publish(t.Context(), function.PublishInput{Ref: ref})
	must(err)
	_, err = f.CreateAlias(t.Context(), function.AliasInput{Ref: ref, Name: "live", Version: new("1")})
	must(err)
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: functions{f}, Name: "f", ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Absent: "absent",
		Caller: me,
	})
}

// The queues of this server are a destination, in memory and on disk.
func TestQueuesAreADestination(t *testing.T) {
	t.Parallel()
	adapt := func(qs *queue.Queues) destination.Queues { return queues{qs} }
	for name, fresh := range map[string]func(t *testing.T) storage.Store{
		"memory": func(*testing.T) storage.Store { return memory.New(memory.Options{}) },
		"pebble": func(t *testing.T) storage.Store {
			s, err := pebble.Open(pebble.Options{
				Dir: "store", FS: vfs.NewMem(), Fatal: func(err error) { t.Errorf("fatal: %v", err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destinationtest.Run(t, func(t *testing.T) *destinationtest.Bench {
				return destinationtest.Queue(t, func() storage.Local {
					s := fresh(t)
					t.Cleanup(func() { _ = s.Close() })
					return s.Local()
				}, adapt)
			})
		})
	}
}

// So are the topics, whose subscribers are queues of this server.
func TestTopicsAreADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, func(t *testing.T) *destinationtest.Bench {
		fresh := func() storage.Local { return memory.New(memory.Options{}).Local() }
		return destinationtest.Topic(t, fresh,
			func(qs *queue.Queues) topic.Queues { return queues{qs} },
			func(ts *topic.Topics) destination.Topics { return topics{ts} })
	})
}

// So are the buckets.
func TestBucketsAreADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, func(t *testing.T) *destinationtest.Bench {
		fresh := func() storage.Local { return memory.New(memory.Options{}).Local() }
		return destinationtest.Bucket(
			t, fresh, func(bs *bucket.Buckets) destination.Buckets { return buckets{bs} },
		)
	})
}

// A copy that a queue will never take is dropped; one that it cannot take now is tried again.
func TestQueuesTellTopicsWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	local := storagetest.NewCrashable(func() storage.Local { return memory.New(memory.Options{}).Local() })
	qs, err := queue.New(queue.Options{Local: local})
	if err == nil {
		err = qs.Start(t.Context())
	}
	q := queue.Name{Account: "111122223333", Region: "eu-west-1", Name: "q"}
	if err == nil {
		err = qs.Create(t.Context(), q, queue.Given{})
	}
	if err != nil {
		t.Fatal(err)
	}
	attributes := []topic.Attribute{{Name: "n", Type: "Binary", Value: []byte{0}}}
	deliver := func(arn, body string) error {
		return queues{qs}.Deliver(t.Context(), arn, body, topic.Copy{
			Topic: topic.Name{Account: q.Account}, Body: body, Attributes: attributes,
		})
	}
	if err := deliver(q.ARN(), "a copy"); err != nil {
		t.Error(err)
	}
	got, err := qs.Receive(t.Context(), q, queue.ReceiveInput{Max: 10})
	if err != nil || len(got) != 1 || got[0].Body != "a copy" || len(got[0].Attributes) != 1 ||
		!reflect.DeepEqual(topic.Attribute(got[0].Attributes[0]), attributes[0]) {
		t.Errorf("%+v %v", got, err)
	}
	for _, c := range []struct {
		name, arn, body string
		refused         bool
	}{
		{"no such queue", q.ARN() + "-missing", "x", true},
		{"too long", q.ARN(), strings.Repeat("x", queue.MaxMessageBytes), true}, // with its attribute
		{"a character that queues do not take", q.ARN(), "\ufffe", true},
		{"a full store", q.ARN(), "full", false},
		{"a broken store", q.ARN(), "broken", false},
	} {
		local.FailWith(map[string]error{"full": storage.ErrFull, "broken": destinationtest.ErrDisk}[c.body])
		if err := deliver(c.arn, c.body); err == nil || errors.Is(err, topic.ErrRefused) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	qs.Stop()
	if err := deliver(q.ARN(), "x"); !errors.Is(err, topic.ErrStopped) || errors.Is(err, topic.ErrRefused) {
		t.Errorf("stopped: %v", err)
	}
}
