package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardmill/shardmill/internal/eventually"
)

// A Kinesis Client Library waits up to half a minute by chance before its first worker lists the shards, and then for
// the leases of a worker that died; so its tests have more patience than others.
const libraryPatience = 4 * patience

// application is an application of the Kinesis Client Library with its workers.
type application struct {
	t       *testing.T
	s       *server // as its workers see it
	clients         // of the server itself
	folder  string  // of e2e/java
	name    string
	stream  string
	reads   string // polling or fan-out
	workers []*process

	// led: one worker assigns the shards, and holds a lock for minutes after it was killed (version 3). Without a
	// leader (versions 1 and 2) a worker's end is not waited for: told to leave after a shard has ended, version 2
	// was not seen to end within minutes
	led bool
	// beheaded kills the leader, whose lock the other has to wait for
	beheaded bool
}

// work starts a worker.
func (a *application) work(name string) *process {
	a.t.Helper()
	java, args := jvm(a.t, a.folder, nil, "Kcl", a.name, a.stream, name, a.reads)
	p := launch(a.t, a.s.home, a.s.aws(), java, args...)
	a.workers = append(a.workers, p)
	return p
}

// lines returns what one worker has printed with a first word.
func lines(p *process, verb string) (found []string) {
	for line := range strings.Lines(p.stdout.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), verb+" "); ok && strings.HasSuffix(line, "\n") {
			found = append(found, rest)
		}
	}
	return found
}

// until waits for a state of the application.
func (a *application) until(what string, check func() (done bool, state string)) {
	a.t.Helper()
	if state, ok := eventually.Within(libraryPatience, check); !ok {
		a.t.Fatalf("%s: not within %s; the last state was: %s", what, libraryPatience, state)
	}
}

// seen waits until the workers have seen the records 0 to n-1, each by its data.
func (a *application) seen(n int) {
	a.t.Helper()
	a.until(fmt.Sprintf("%d records", n), func() (bool, string) {
		seen := map[string]bool{}
		for _, p := range a.workers {
			for _, line := range lines(p, "record") {
				_, data, _ := strings.Cut(line, " ")
				seen[data] = true
			}
		}
		for i := range n {
			if !seen[fmt.Sprint(i)] {
				return false, fmt.Sprintf("%d records, without %d", len(seen), i)
			}
		}
		return len(seen) == n, fmt.Sprint(len(seen), " records")
	})
}

// put puts the records from lo to hi-1 under forty keys.
func (a *application) put(lo, hi int) {
	a.t.Helper()
	var batch []entry
	for i := lo; i < hi; i++ {
		batch = append(batch, entry{fmt.Sprint("key", i%40), fmt.Sprint(i)})
	}
	a.putAll(a.t, a.stream, batch)
}

// leader returns the name of the worker that assigns the shards.
func (a *application) leader() (name string) {
	a.t.Helper()
	tables := dynamodb.New(dynamodb.Options{
		Region: region, BaseEndpoint: a.kinesis.Options().BaseEndpoint, Credentials: a.kinesis.Options().Credentials,
		HTTPClient: a.kinesis.Options().HTTPClient, RetryMaxAttempts: 1,
	})
	a.until("a leader", func() (bool, string) {
		got, err := tables.GetItem(a.t.Context(), &dynamodb.GetItemInput{
			TableName: aws.String(a.name + "-CoordinatorState"),
			Key:       map[string]types.AttributeValue{"key": &types.AttributeValueMemberS{Value: "Leader"}},
		})
		if err != nil {
			return false, err.Error() // there is no table yet
		}
		owner, ok := got.Item["ownerName"].(*types.AttributeValueMemberS)
		if !ok {
			return false, "there is none"
		}
		name = owner.Value
		return true, name
	})
	return name
}

// split splits a shard in the middle.
func (a *application) split(shard string) {
	a.t.Helper()
	for _, s := range a.openShards(a.t, a.stream) {
		if *s.ShardId != shard {
			continue
		}
		if _, err := a.kinesis.SplitShard(a.t.Context(), &kinesis.SplitShardInput{
			StreamName: &a.stream, ShardToSplit: &shard, NewStartingHashKey: aws.String(middle(s.HashKeyRange)),
		}); err != nil {
			a.t.Fatal(err)
		}
		return
	}
	a.t.Fatalf("%s is not open", shard)
}

// saved waits for a checkpoint of all that a worker has seen.
func (a *application) saved(p *process) {
	a.t.Helper()
	a.until("a checkpoint of all that a worker has seen", func() (bool, string) {
		open := map[string]bool{}
		for line := range strings.Lines(p.stdout.String()) {
			if words := strings.Fields(line); len(words) > 1 {
				open[words[1]] = words[0] == "record"
			}
		}
		maps.DeleteFunc(open, func(_ string, seen bool) bool { return !seen })
		return len(open) == 0, strings.Join(slices.Sorted(maps.Keys(open)), " ")
	})
}

// round has two workers share four shards, kills one, splits one of its shards, and sees whether the other goes on
// where the dead one's checkpoints were: every record is seen, and no shard is read from its beginning again.
func (a *application) round() {
	t := a.t
	a.createStream(t, a.stream, 4)
	one, two := a.work("one"), a.work("two")
	if a.led && (a.leader() == "two") != a.beheaded {
		one, two = two, one
	}
	a.until("both workers have shards, all four together", func() (bool, string) {
		first, second := lines(one, "began"), lines(two, "began")
		return len(first) > 0 && len(second) > 0 && len(first)+len(second) >= 4, fmt.Sprint(first, second)
	})
	a.put(0, 200)
	a.seen(200)
	a.saved(two)

	two.kill()
	saved, before := lines(two, "checkpoint"), len(lines(one, "began"))
	shard, _, _ := strings.Cut(lines(two, "began")[0], " ")
	a.split(shard)
	a.put(200, 400)
	a.seen(400)
	a.until("the end of the shard that was split", func() (bool, string) {
		ended := lines(one, "ended")
		return slices.Contains(ended, shard), fmt.Sprint(ended)
	})

	lost := len(lines(one, "lost"))
	one.signal(t, syscall.SIGTERM)
	a.until("that the worker leaves the five open shards", func() (bool, string) {
		gone := map[string]bool{}
		for _, shard := range slices.Concat(lines(one, "left"), lines(one, "lost")[lost:]) {
			gone[shard] = true
		}
		return len(gone) == 5, fmt.Sprint(slices.Sorted(maps.Keys(gone)))
	})
	if len(lines(one, "left")) == 0 {
		t.Error("told to end, the worker left no shard in order")
	}
	if a.led {
		a.until("the end of the worker", func() (bool, string) { return !one.running(), "it runs" })
	}
	for _, p := range a.workers {
		for _, line := range lines(p, "error") {
			t.Errorf("a worker met %s", line)
		}
	}
	for _, line := range lines(one, "began")[before:] {
		if shard, from, _ := strings.Cut(line, " "); from == "TRIM_HORIZON" && slices.Contains(saved, shard) {
			t.Errorf("%s was read from its beginning again", shard)
		}
	}
}

// billing is an application that polls a stream by means of a version of the library, at a server that writes down what
// it is asked.
func billing(t *testing.T, folder string) (*application, *recorder) {
	t.Helper()
	direct := start(t, newHome(t), "dev")
	s, r := direct.recorded(t)
	return &application{
		t: t, s: s, clients: direct.clients(), folder: folder, name: "billing", stream: "orders", reads: "polling",
	}, r
}

// Version 3 as its guide sets it up: leases, their index and its own state in tables, metrics in CloudWatch, CBOR over
// HTTP/2.
func TestKinesisClientLibrary3(t *testing.T) {
	t.Parallel()
	a, r := billing(t, "kcl3")
	a.led = true

	a.round()

	if !r.spoke("HTTP/2.0 application/x-amz-cbor-1.1") {
		t.Error("nothing came in CBOR over HTTP/2")
	}
	r.listed(t, "Kinesis Client Library 3")
	names, _, err := a.s.command(t, venv(t, "aws"), "cloudwatch", "list-metrics", "--namespace", "billing",
		"--query", "Metrics[].MetricName", "--output", "text")
	if err != nil || !strings.Contains(names, "RecordsProcessed") || !strings.Contains(names, "MillisBehindLatest") {
		t.Errorf("%v: the library's metrics are %s", err, names)
	}
}

// The server is killed under two workers and started again: leases and checkpoints are as they were acknowledged, the
// workers go on, and no shard is read from its beginning again.
func TestKinesisClientLibrary3OutlivesTheServer(t *testing.T) {
	byHand(t)
	t.Parallel()
	h := newHome(t)
	first := start(t, h, "serve", "--data", h.path("data"))
	s, r := first.recorded(t)
	a := &application{
		t: t, s: s, clients: first.clients(), folder: "kcl3", name: "billing", stream: "orders", reads: "polling",
	}
	a.createStream(t, a.stream, 4)
	one, two := a.work("one"), a.work("two")
	a.put(0, 200)
	a.seen(200)
	a.saved(one)
	a.saved(two)
	before, again := map[string]bool{}, map[*process]int{one: len(lines(one, "began")), two: len(lines(two, "began"))}
	for _, shard := range slices.Concat(lines(one, "checkpoint"), lines(two, "checkpoint")) {
		before[shard] = true
	}

	first.kill()
	second := start(t, h, "serve", "--data", h.path("data"))
	r.forward(t, second)
	a.clients = second.clients()
	a.put(200, 400)
	a.seen(400)

	for p, n := range again {
		for _, line := range lines(p, "began")[n:] {
			if shard, from, _ := strings.Cut(line, " "); from == "TRIM_HORIZON" && before[shard] {
				t.Errorf("%s was read from its beginning again", shard)
			}
		}
	}
}

// The worker that assigns the shards is killed: the other becomes the leader when two minutes have passed.
func TestKinesisClientLibrary3WithoutItsLeader(t *testing.T) {
	byHand(t)
	t.Parallel()
	a, r := billing(t, "kcl3")
	a.led, a.beheaded = true, true

	a.round()

	r.listed(t, "Kinesis Client Library 3")
}

// Version 3 reads by enhanced fan-out unless it is told to poll: it registers a consumer and subscribes to each shard
// that a worker holds.
func TestKinesisClientLibrary3FanOut(t *testing.T) {
	byHand(t)
	t.Parallel()
	a, r := billing(t, "kcl3")
	a.led, a.reads = true, "fan-out"

	a.round()

	r.listed(t, "Kinesis Client Library 3")
}

// F-15: "KCL 3 with fan-out, 2 shards, then UpdateShardCount 4 … both parents finish before children start; all records
// once".
func TestKinesisClientLibrary3FollowsAReshardByFanOut(t *testing.T) {
	byHand(t)
	t.Parallel()
	direct := start(t, newHome(t), "dev")
	a := &application{
		t: t, s: direct, clients: direct.clients(), folder: "kcl3", name: "audit", stream: "orders", reads: "fan-out",
		led: true,
	}
	a.createStream(t, a.stream, 2)
	worker := a.work("one")
	a.put(0, 200)
	a.seen(200)
	if _, err := a.kinesis.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
		StreamName: &a.stream, TargetShardCount: aws.Int32(4), ScalingType: "UNIFORM_SCALING",
	}); err != nil {
		t.Fatal(err)
	}
	a.put(200, 400)
	a.seen(400)

	if n := len(lines(worker, "record")); n != 400 {
		t.Errorf("%d deliveries of 400 records", n)
	}
	said := worker.stdout.String()
	for child, parent := range map[int]int{2: 0, 3: 0, 4: 1, 5: 1} {
		began := strings.Index(said, fmt.Sprintf("began shardId-%012d ", child))
		ended := strings.Index(said, fmt.Sprintf("ended shardId-%012d\n", parent))
		if ended < 0 || began < ended {
			t.Errorf("shard %d began at %d of the output, its parent %d ended at %d", child, began, parent, ended)
		}
	}
}

// Version 2 sets its leases by the legacy parameters alone, and each of its workers takes what it finds free.
func TestKinesisClientLibrary2(t *testing.T) {
	byHand(t)
	t.Parallel()
	a, r := billing(t, "kcl2")

	a.round()

	r.listed(t, "Kinesis Client Library 2")
}

// Version 1 does the same over the AWS SDK for Java 1.
func TestKinesisClientLibrary1(t *testing.T) {
	byHand(t)
	t.Parallel()
	a, r := billing(t, "kcl1")

	a.round()

	r.listed(t, "Kinesis Client Library 1")
}
