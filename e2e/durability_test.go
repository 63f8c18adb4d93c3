package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

const (
	killRounds = 14
	killTries  = 3 // of a round whose kill found no open put or no running invocation
	keysInPlay = 24
	producers  = 6
	batchSize  = 10
	acksBefore = 60 // a kill: what was decided before them then lies on disk, because commits have one order
)

// crashes are moments at which the binary built with the tag crashpoint kills itself.
var crashes = []struct {
	moment     string
	poisonOnly bool // so that the first thing delivered is a notice
}{
	{"delivered:1", false},
	{"delivered:7", false},
	{"delivered:1", true},
	{"save:1", false},
	{"save:2", true},
	{"save:9", false},
}

// Whatever is acknowledged outlives kill -9, twenty times over on one data directory. Fourteen times the server is
// killed while a put is open and an invocation runs; six times it kills itself between an effect and the checkpoint
// that would tell of it. In the end: every acknowledged record was processed or announced, first deliveries of every
// key came in order, no notice is in the queue twice (S-86), repeats are few, and everything that was set up is still
// there.
func TestNothingAcknowledgedIsLostOverTwentyKills(t *testing.T) {
	d := newDurability(t)
	d.setUp(t)
	misses := 0
	for range killRounds {
		for try := 1; !d.killRound(t); try++ {
			misses++
			if try == killTries {
				t.Fatalf("%d kills in a row found no open put or no running invocation", try)
			}
		}
		d.restart(t)
	}
	for _, c := range crashes {
		d.crashRound(t, c.moment, c.poisonOnly)
		d.restart(t)
	}
	d.judge(t)
	t.Logf(
		"%d lives, %d records acknowledged, %d delivered, %d rounds repeated", d.book.life, len(d.book.acked),
		len(d.book.records), misses,
	)
}

// durability is one data directory and who works on it.
type durability struct {
	home    home
	ledger  string // address
	book    *book
	server  *server
	clients clients
	round   int

	mapping *lambda.GetEventSourceMappingOutput // as it was made
	queue   string                              // URL
	kept    string                              // id of a message that lies in another queue throughout
	keptURL string
	stored  map[string]kinesistypes.Record // everything in the stream, by sequence number
	next    map[string]string              // by shard: the last sequence number read
}

func newDurability(t *testing.T) *durability {
	t.Helper()
	d := &durability{home: newHome(t), stored: map[string]kinesistypes.Record{}, next: map[string]string{}}
	path := d.home.path("ledger")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t, "ledger", "./testdata/ledger"), path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d.ledger = "http://" + strings.TrimSpace(address)
	d.book = openBook(t, path)
	return d
}

// note is durable in the ledger when it returns. An error means that the test is over.
func (d *durability) note(ctx context.Context, n e2e.Note) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", d.ledger+"/note", bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the ledger answered %s", resp.Status)
	}
	return nil
}

func (d *durability) start(t *testing.T, binary string, env ...string) {
	t.Helper()
	if err := d.note(t.Context(), e2e.Note{Kind: "life"}); err != nil {
		t.Fatal(err)
	}
	d.server = startBinary(t, d.home, binary, env, "serve", "--data", d.home.path("data"))
	d.clients = d.server.clients()
}

func (d *durability) setUp(t *testing.T) {
	t.Helper()
	d.start(t, shardmill(t))
	c := d.clients
	c.createStream(t, "orders", 3)
	d.queue = c.createQueue(t, "failures", nil)
	d.keptURL = c.createQueue(t, "kept", nil)
	sent, err := c.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &d.keptURL, MessageBody: aws.String("keep me"),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.kept = *sent.MessageId
	c.createFunction(t, "orders", d.ledger)
	id := c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(batchSize), ParallelizationFactor: aws.Int32(2), MaximumRetryAttempts: aws.Int32(0),
		BisectBatchOnFunctionError: aws.Bool(true),
		MaximumRecordAgeInSeconds:  aws.Int32(86400), DestinationConfig: onFailure("failures"),
	})
	eventually.Reaches(t, "the mapping enabled", func() (bool, string) {
		d.mapping, err = c.lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
		if err != nil {
			t.Fatal(err)
		}
		return *d.mapping.State == "Enabled", *d.mapping.State
	})
	d.settle(t)
}

// produce puts records until the server has gone or ctx ends: each noted before it is put and again when it is
// acknowledged.
func (d *durability) produce(ctx context.Context, t *testing.T, poisonOnly bool) (wait func()) {
	var wg sync.WaitGroup
	d.round++
	stream, round, c := "orders", d.round, d.clients // of this life
	for p := range producers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				data := fmt.Sprintf("order %d-%d-%d", round, p, i)
				if poisonOnly || (p == 0 && i%20 == 7) {
					data = e2e.PoisonPrefix + " " + data
				}
				n := e2e.Note{Kind: "put", Key: keyOf(p + producers*(i%(keysInPlay/producers))), Data: data}
				if err := d.note(ctx, n); err != nil {
					if ctx.Err() == nil {
						t.Errorf("noting a put: %v", err)
					}
					return
				}
				out, err := c.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{
					StreamName: &stream, PartitionKey: &n.Key, Data: []byte(data),
				})
				if err != nil {
					return // the server has gone, and what became of this record is unknown
				}
				n.Kind, n.Sequence = "ack", *out.SequenceNumber
				if err := d.note(context.WithoutCancel(ctx), n); err != nil {
					t.Errorf("noting an acknowledgement: %v", err)
					return
				}
			}
		})
	}
	return wg.Wait
}

func keyOf(n int) string { return fmt.Sprintf("customer-%d", n) }

// killRound kills the server as soon as the ledger shows an open put and a running invocation, and returns whether that
// was still so when it died.
func (d *durability) killRound(t *testing.T) (hit bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := d.produce(ctx, t, false)
	// two of each, so that one is left when the signal arrives
	eventually.Reaches(t, "open puts and running invocations", func() (bool, string) {
		d.book.read(t)
		b := d.book
		return b.acks >= acksBefore && len(b.open) > 1 &&
			len(b.running) > 1, fmt.Sprintf("%d acknowledged, %d open, %d running", b.acks, len(b.open), len(b.running))
	})
	d.server.kill()
	wait()
	d.book.read(t)
	if hit = len(d.book.open) > 0 && len(d.book.running) > 0; !hit {
		d.restart(t)
	}
	return hit
}

// crashRound stops the server, starts one that kills itself at a moment, and feeds it until it has.
func (d *durability) crashRound(t *testing.T, moment string, poisonOnly bool) {
	t.Helper()
	d.server.signal(t, syscall.SIGTERM)
	if code := d.server.wait(t); code != 0 {
		t.Fatalf("SIGTERM: exit code %d, want 0", code)
	}
	d.start(
		t, build(t, "shardmill-crashpoint", "../cmd/shardmill", "-tags", "crashpoint"), "SHARDMILL_CRASHPOINT="+moment,
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := d.produce(ctx, t, poisonOnly)
	eventually.Reaches(t, "a crash at "+moment, func() (bool, string) { return !d.server.running(), "the server runs" })
	wait()
	if status := d.server.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() ||
		status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s: the server ended with %s, want its own SIGKILL", moment, d.server.cmd.ProcessState)
	}
	d.book.read(t)
}

// restart brings a server up on the same data and waits until it has caught up.
func (d *durability) restart(t *testing.T) {
	t.Helper()
	d.start(t, shardmill(t))
	d.settle(t)
}

// settle puts one record per key and waits until those are processed, and with them – a key's records come in order –
// everything before them; and until every poison record in the stream has been announced.
func (d *durability) settle(t *testing.T) {
	t.Helper()
	var probes []string
	for i := range keysInPlay {
		probes = append(probes, d.clients.put(t, "orders", keyOf(i), fmt.Sprintf("probe %d-%d", d.book.life, i)))
	}
	d.readStream(t)
	poisoned := 0
	for _, r := range d.stored {
		if strings.HasPrefix(string(r.Data), e2e.PoisonPrefix) {
			poisoned++
		}
	}
	eventually.Reaches(t, "everything in the stream settled", func() (bool, string) {
		d.book.read(t)
		waiting := 0
		for _, q := range probes {
			if h := d.book.records[q]; h == nil || h.processed == 0 {
				waiting++
			}
		}
		if waiting > 0 {
			return false, fmt.Sprintf(
				"%d of %d probes are not processed, %d invocations run", waiting, len(probes), len(d.book.running),
			)
		}
		announced := d.queued(t)
		return announced >= poisoned, fmt.Sprintf("%d of %d poison records are announced", announced, poisoned)
	})
}

// queued returns how many messages the failure queue holds.
func (d *durability) queued(t *testing.T) (n int) {
	t.Helper()
	name := sqstypes.QueueAttributeNameApproximateNumberOfMessages
	out, err := d.clients.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &d.queue, AttributeNames: []sqstypes.QueueAttributeName{name},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(out.Attributes[string(name)], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// readStream takes in what the stream has got since the last call.
func (d *durability) readStream(t *testing.T) {
	t.Helper()
	c, stream := d.clients.kinesis, "orders"
	for i := range 3 {
		shard := fmt.Sprintf("shardId-%012d", i)
		in := &kinesis.GetShardIteratorInput{
			StreamName: &stream, ShardId: &shard, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon,
		}
		if q := d.next[shard]; q != "" {
			in.ShardIteratorType, in.StartingSequenceNumber = kinesistypes.ShardIteratorTypeAfterSequenceNumber, &q
		}
		it, err := c.GetShardIterator(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for next := it.ShardIterator; ; {
			out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				d.stored[*r.SequenceNumber] = r
				d.next[shard] = *r.SequenceNumber
			}
			if len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
				break
			}
			next = out.NextShardIterator
		}
	}
}

// judge checks everything that was promised.
func (d *durability) judge(t *testing.T) {
	t.Helper()
	d.readStream(t)
	for _, w := range d.book.wrong {
		t.Error(w)
	}
	d.judgeRecords(t, d.notices(t))
	d.judgeRepeats(t)
	d.judgeSetUp(t)
	d.server.signal(t, syscall.SIGTERM)
	if code := d.server.wait(t); code != 0 {
		t.Errorf("SIGTERM: exit code %d, want 0", code)
	}
	eventually.Reaches(t, "no process left behind", func() (bool, string) {
		left := processesUnder(t, d.home.dir)
		return len(left) == 0, strings.Join(left, "\n")
	})
}

// judgeRecords: what was acknowledged is in the stream and was processed or announced; what is in the stream is one of
// the two, and poison is announced once.
func (d *durability) judgeRecords(t *testing.T, notices map[string]int) {
	t.Helper()
	if len(d.book.acked) < acksBefore*killRounds {
		t.Errorf("only %d records were acknowledged: the test has not tested much", len(d.book.acked))
	}
	for data, n := range d.book.acked {
		if r, ok := d.stored[n.Sequence]; !ok || string(r.Data) != data || *r.PartitionKey != n.Key {
			t.Errorf("acknowledged and not in the stream: %s as %s", data, n.Sequence)
		}
	}
	for q, r := range d.stored {
		h, poison := d.book.records[q], strings.HasPrefix(string(r.Data), e2e.PoisonPrefix)
		switch {
		case h == nil:
			t.Errorf("never delivered: %s %q", q, r.Data)
		case poison && h.processed != 0:
			t.Errorf("poison was processed: %s %q", q, r.Data)
		case poison && notices[q] != 1:
			t.Errorf("announced %d times, want once: %s %q", notices[q], q, r.Data)
		case !poison && h.processed == 0:
			t.Errorf("never processed: %s %q", q, r.Data)
		case !poison && notices[q] != 0:
			t.Errorf("announced though it is no poison: %s %q", q, r.Data)
		}
	}
	for q, h := range d.book.records {
		if _, ok := d.stored[q]; !ok {
			t.Errorf("delivered and not in the stream: %s %q", q, h.Data)
		}
	}
}

// judgeRepeats: a record comes again at most in the life after the one that was killed, because every life here catches
// up before the next kill; and within a life at most as often as bisecting a batch of ten takes.
func (d *durability) judgeRepeats(t *testing.T) {
	t.Helper()
	const splits = 5 // 10, 5, 3, 2, 1
	again := 0
	for q, h := range d.book.records {
		if h.last-h.first > 1 {
			t.Errorf(
				"%s was delivered in life %d and again in life %d, though life %d had caught up", q, h.first, h.last,
				h.first+1,
			)
		}
		if h.processed != 0 && h.last > h.processed {
			again++
		}
		for life, n := range h.times {
			if n > splits {
				t.Errorf("%s was delivered %d times in life %d, want at most %d", q, n, life, splits)
			}
		}
	}
	if n := len(d.book.records); again > n/2 {
		t.Errorf("%d of %d records were processed again after a kill: that is no longer a crash's share", again, n)
	} else {
		t.Logf("%d of %d records were processed again after a kill", again, n)
	}
}

// judgeSetUp: streams, functions, mappings and queues are as they were made.
func (d *durability) judgeSetUp(t *testing.T) {
	t.Helper()
	c, ctx := d.clients, t.Context()
	summary, err := c.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{
		StreamName: aws.String("orders"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := *summary.StreamDescriptionSummary.OpenShardCount; n != 3 {
		t.Errorf("the stream has %d open shards, want 3", n)
	}
	function, err := c.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: aws.String("orders"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if function.Runtime != lambdatypes.RuntimeProvidedal2023 || *function.Timeout != 120 ||
		function.Environment.Variables["LEDGER"] != d.ledger {
		t.Errorf("the function is not what it was: %+v", function)
	}
	m, err := c.lambda.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: d.mapping.UUID})
	if err != nil {
		t.Fatal(err)
	}
	was := d.mapping
	if *m.State != "Enabled" || *m.BatchSize != *was.BatchSize ||
		*m.ParallelizationFactor != *was.ParallelizationFactor ||
		*m.MaximumRetryAttempts != *was.MaximumRetryAttempts ||
		*m.BisectBatchOnFunctionError != *was.BisectBatchOnFunctionError ||
		*m.DestinationConfig.OnFailure.Destination != *was.DestinationConfig.OnFailure.Destination {
		t.Errorf("the mapping is not what it was: %+v", m)
	}
	got := c.receive(t, d.keptURL, 1)
	if len(got) != 1 || *got[0].MessageId != d.kept || *got[0].Body != "keep me" {
		t.Errorf("the message sent before the first kill is not what it was: %+v", got)
	}
}

// notices counts the messages in the failure queue, by the one record that each is about.
func (d *durability) notices(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for {
		messages := d.clients.receive(t, d.queue, 1)
		if len(messages) == 0 {
			return out
		}
		for _, m := range messages {
			n := parseNotice(t, *m.Body)
			if b := n.KinesisBatchInfo; b.BatchSize != 1 || b.StartSequenceNumber != b.EndSequenceNumber ||
				n.RequestContext.Condition != "RetryAttemptsExhausted" {
				t.Errorf("bisecting has not found the one record: %s", *m.Body)
			}
			out[n.KinesisBatchInfo.StartSequenceNumber]++
			if _, err := d.clients.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
				QueueUrl: &d.queue, ReceiptHandle: m.ReceiptHandle,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// processesUnder lists processes whose command line names a directory: functions run from below their server's.
func processesUnder(t *testing.T, dir string) (out []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	all, err := exec.CommandContext(ctx, "ps", "-axww", "-o", "pid=,command=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, dir) && !strings.Contains(line, "/ledger") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// The binary that people get has no code that kills it: neither the variable's name nor the package's state is in it.
// The test build shows that the search would find them.
func TestTheReleaseBuildContainsNoCrashpoint(t *testing.T) {
	t.Parallel()
	contains := func(path string) bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte("SHARDMILL_CRASHPOINT"))
	}
	if contains(shardmill(t)) {
		t.Error("the release build names SHARDMILL_CRASHPOINT")
	}
	if !contains(build(t, "shardmill-crashpoint", "../cmd/shardmill", "-tags", "crashpoint")) {
		t.Error("the test build does not name SHARDMILL_CRASHPOINT: this test cannot fail")
	}
}
