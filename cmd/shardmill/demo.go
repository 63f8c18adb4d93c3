package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/stream"
)

func newDemo() *cobra.Command {
	var port int
	var exit bool
	var functionClock string
	c := &cobra.Command{
		Use:   "demo",
		Short: "See a pipeline at work: four shards, a function, one poison record",
		Long: `Starts a server in memory, builds a pipeline through the AWS APIs, and shows what happens to every record: put, batched, invoked, and – for the one
that the function cannot take – failed, bisected until it stands alone, and announced to a queue. The server stays up afterwards, to play with.`,
	}
	c.Flags().IntVar(&port, "port", server.DefaultPort, "port; when it is taken, any free one is used")
	c.Flags().BoolVar(&exit, "exit", false, "leave at the end instead of keeping the server up")
	var isolation, network string
	registerIsolation(c, &isolation, &network)
	functionClockFlag(c, &functionClock)
	hostPackages := hostPackagesFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := &demo{t: newTerminal(c.OutOrStdout()), seen: make(chan engine.Observation, 1024), names: map[place]text{}}
		d.cfg = server.Config{
			Port: port, Dev: true, FunctionClock: functionClock, HostPackages: *hostPackages, Isolation: isolation,
			Network: network,
		}
		if self, err := os.Executable(); err == nil { // which is the function, too
			d.cfg.Show = []string{self}
		}
		if err := d.cfg.Validate(); err != nil {
			return usage(c, "%s", err)
		}
		return d.run(c.Context(), exit, newTerminal(c.ErrOrStderr()))
	}
	return c
}

const (
	demoStream   = "demo"
	demoFunction = "demo-handler"
	demoQueue    = "demo-failures"
	demoPoison   = "poison"
	demoPatience = 20 * time.Second
)

// place is where a record lies.
type place struct {
	shard record.ShardID
	pos   record.Position
}

// demo is one run of the demonstration.
type demo struct {
	t     terminal
	cfg   server.Config
	s     *server.Server
	c     *client
	seen  chan engine.Observation
	names map[place]text // what a record is called, by where it lies
	queue string         // URL
	arn   string         // of the stream
	put   int
}

func (d *demo) run(ctx context.Context, exit bool, errs terminal) error {
	if err := d.startServer(ctx, errs); err != nil {
		return err
	}
	defer d.s.Stop(context.WithoutCancel(ctx))
	d.c = newClient(d.s.Endpoint(), "000000000000", "us-east-1")
	for _, step := range []func(context.Context) error{d.build, d.putRecords, d.watch, d.showQueue} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return explain(err)
		}
	}
	if exit {
		return nil
	}
	d.next()
	<-ctx.Done()
	return nil
}

// startServer takes the usual port if it is free, and any other if not.
func (d *demo) startServer(ctx context.Context, errs terminal) error {
	cfg := d.cfg
	cfg.Version, cfg.Log = versionText(), newLog(errs.w)
	cfg.Observe = func(o engine.Observation) {
		select {
		case d.seen <- o:
		default: // a demonstration of twelve records never comes here, but a user who plays with it afterwards does
		}
	}
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	err = s.Start(ctx)
	var taken *server.PortInUse
	if errors.As(err, &taken) {
		cfg.Port = 0
		if s, err = server.New(cfg); err == nil {
			err = s.Start(ctx)
		}
		if err == nil {
			d.t.printf(
				"%s\n", d.t.yellow(fmt.Sprintf("Port %d is taken, so this server uses another one.", taken.Port)),
			)
		}
	}
	if err != nil {
		return startFailure(err)
	}
	d.s = s
	hideServer(s)
	d.t.printf("%s server in memory at %s\n", d.t.bold("1 ·"), d.t.bold(s.Endpoint()))
	return nil
}

// build makes the pipeline: a stream, a queue, a function and the mapping between them.
func (d *demo) build(ctx context.Context) error {
	var queue struct{ QueueUrl string }
	if err := d.c.sqs(ctx, "CreateQueue", map[string]any{"QueueName": demoQueue}, &queue); err != nil {
		return err
	}
	d.queue = queue.QueueUrl
	if err := d.c.kinesis(
		ctx, "CreateStream", map[string]any{"StreamName": demoStream, "ShardCount": 4}, nil,
	); err != nil {
		return err
	}
	code, err := demoCode()
	if err != nil {
		return err
	}
	function := map[string]any{
		"FunctionName": demoFunction, "Runtime": "provided.al2023", "Handler": "bootstrap",
		"Role": "arn:aws:iam::000000000000:role/demo",
		"Code": map[string]any{"ZipFile": code}, "Timeout": 10,
	}
	if err := d.c.lambda(ctx, "POST", "/2015-03-31/functions", function, nil); err != nil {
		return err
	}
	d.arn = "arn:aws:kinesis:us-east-1:000000000000:stream/" + demoStream
	mapping := map[string]any{
		"EventSourceArn": d.arn, "FunctionName": demoFunction, "StartingPosition": "TRIM_HORIZON", "BatchSize": 100,
		"BisectBatchOnFunctionError": true,
		"MaximumRetryAttempts":       0,
		"DestinationConfig": map[string]any{
			"OnFailure": map[string]any{"Destination": "arn:aws:sqs:us-east-1:000000000000:" + demoQueue},
		},
	}
	if err := d.c.lambda(ctx, "POST", "/2015-03-31/event-source-mappings", mapping, nil); err != nil {
		return err
	}
	d.t.printf("%s stream %s (4 shards) → mapping (bisect, 0 retries, on failure: queue %s) → function %s (a process, isolation: %s)\n",
		d.t.bold("2 ·"), d.t.bold(demoStream), d.t.bold(demoQueue), d.t.bold(demoFunction), isolationText(d.s))
	return nil
}

// demoCode returns a zip whose bootstrap runs this very binary as the handler.
func demoCode() ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this binary: %w", err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = fmt.Fprintf(w, "#!/bin/sh\nexec '%s' demo-handler\n", strings.ReplaceAll(self, "'", `'\''`))
	}
	if err == nil {
		err = z.Close()
	}
	return b.Bytes(), err
}

// demoRecords: the poison record shares its shard with others, so that bisecting has something to do.
var demoRecords = []struct{ key, data string }{
	{"anna", "order 1"},
	{"ben", "order 2"},
	{"anna", "order 3"},
	{"carla", "order 4"},
	{"anna", "order 5"},
	{"anna", demoPoison},
	{"dora", "order 7"},
	{"anna", "order 8"},
	{"emil", "order 9"},
	{"anna", "order 10"},
	{"frida", "order 11"},
	{"anna", "order 12"},
}

func (d *demo) putRecords(ctx context.Context) error {
	entries := make([]map[string]any, len(demoRecords))
	for i, r := range demoRecords {
		entries[i] = map[string]any{"PartitionKey": r.key, "Data": []byte(r.data)}
	}
	var got struct {
		FailedRecordCount int
		Records           []placement
	}
	if err := d.c.kinesis(
		ctx, "PutRecords", map[string]any{"StreamName": demoStream, "Records": entries}, &got,
	); err != nil {
		return err
	}
	d.t.printf("%s put %d records, one of them poison\n", d.t.bold("3 ·"), len(entries))
	for i, a := range got.Records {
		q, err := stream.ParseSequenceNumber(a.SequenceNumber)
		if err != nil {
			return fmt.Errorf("the answer of PutRecords: %w", err)
		}
		r := demoRecords[i]
		name := text(r.data)
		if r.data == demoPoison {
			name = d.t.red(name)
		}
		d.names[place{q.Shard, q.Pos}] = name
		d.t.printf("    put        %s key %-5s → %s\n", pad(name, r.data, 9), r.key, d.t.dim(a.ShardId))
	}
	d.put = len(got.Records)
	return nil
}

// pad pads s, whose visible text is plain, to n columns.
func pad(s text, plain string, n int) text {
	return s + text(strings.Repeat(" ", max(0, n-len(plain))))
}

// watch shows what the mapping does until every record is settled.
func (d *demo) watch(ctx context.Context) error {
	d.t.printf("%s the mapping at work\n", d.t.bold("4 ·"))
	limit := time.NewTimer(demoPatience)
	defer limit.Stop()
	settled := 0
	for settled < d.put {
		select {
		case o := <-d.seen:
			settled += d.show(o)
		case <-limit.C:
			return &failure{
				text: fmt.Sprintf("%d of %d records were settled within %s", settled, d.put, demoPatience),
				hint: "run it again with the output of: shardmill dev -v",
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// show prints one observation and returns how many records it settles.
func (d *demo) show(o engine.Observation) (settled int) {
	t := d.t
	where := t.dim(o.Shard.String())
	line := func(verb text, format string, args ...any) {
		t.printf("    %s %s %s\n", verb, where, t.text(format, args...))
	}
	of := func(b esm.Batch) text { return d.named(o.Shard, b.First, b.Last) }
	switch what := o.What.(type) {
	case *esm.BatchCut:
		if what.Flush != esm.FlushAgain {
			line("batched   ", "%s", of(what.Batch))
		}
	case *esm.AttemptStarted:
		line("invoked   ", "attempt %d: %s", what.Attempt, of(what.Batch))
	case *esm.AttemptEnded:
		if out := what.Outcome; out.Kind == esm.Success {
			line(t.green("ok        "), "%s in %s", of(what.Batch), out.Duration.Round(10*time.Microsecond))
		} else {
			line(t.red("failed    "), "%s: %s", of(what.Batch), out.Reason)
		}
	case *esm.Bisected:
		left := d.named(o.Shard, what.Left.First, what.Left.Last)
		right := d.named(o.Shard, what.Right.First, what.Right.Last)
		line(t.blue("bisected  "), "left: %s %s right: %s", left, t.dim("|"), right)
	case *esm.Discarded:
		line(t.red("given up  "), "%s: %s", of(what.Batch), what.Condition)
	case *esm.NoticeDelivered:
		line(t.blue("announced "), "%s → queue %s", of(what.Batch), demoQueue)
		return d.count(o.Shard, what.Batch)
	case *esm.BatchSettled:
		return d.count(o.Shard, what.Batch)
	case *esm.Dropped:
		return d.count(o.Shard, what.Batch)
	default: // the demonstration has no tumbling window, and shows no wait
	}
	return 0
}

func (d *demo) named(shard record.ShardID, first, last record.Position) text {
	var out []string
	for p := first; p <= last; p++ { // positions of one PutRecords call lie close together
		if n, ok := d.names[place{shard, p}]; ok {
			out = append(out, string(n))
		}
	}
	if len(out) == 0 {
		return "a record put by somebody else"
	}
	return text(strings.Join(out, ", "))
}

// count returns how many of the demonstration's own records are in a batch: records that others put meanwhile do not
// end it early.
func (d *demo) count(shard record.ShardID, b esm.Batch) (n int) {
	for p := b.First; p <= b.Last; p++ {
		if _, ok := d.names[place{shard, p}]; ok {
			n++
		}
	}
	return n
}

// showQueue fetches the one message and shows what it says.
func (d *demo) showQueue(ctx context.Context) error {
	var got struct{ Messages []struct{ Body string } }
	if err := d.c.sqs(
		ctx, "ReceiveMessage", map[string]any{"QueueUrl": d.queue, "WaitTimeSeconds": 5, "VisibilityTimeout": 0}, &got,
	); err != nil {
		return err
	}
	if len(got.Messages) != 1 {
		return fmt.Errorf("the queue holds %d messages instead of 1", len(got.Messages))
	}
	var body bytes.Buffer
	if err := json.Indent(&body, []byte(got.Messages[0].Body), "      ", "  "); err != nil {
		return err
	}
	d.t.printf(
		"%s one message in the queue %s; it says which record, and why:\n      %s\n", d.t.bold("5 ·"),
		d.t.bold(demoQueue), body.String(),
	)
	return nil
}

// found reports whether a shell finds a binary by the name that it has. What go run started, as the README does, is on
// no PATH.
func found(binary string) bool {
	_, err := exec.LookPath(filepath.Base(binary))
	return err == nil
}

// next says what to type.
func (d *demo) next() {
	t := d.t
	t.printf("\n%s The server stays up until you press Ctrl-C. In another terminal:\n", t.bold("Next:"))
	if self, err := os.Executable(); err == nil && !found(self) {
		t.printf("    export PATH=\"%s:$PATH\"\n", filepath.Dir(self))
	}
	t.printf("    eval \"$(shardmill env --endpoint %s)\"\n", d.s.Endpoint())
	t.printf("    shardmill put %s --key anna '%s'          # another poison record\n", demoStream, demoPoison)
	t.printf("    shardmill tail %s --from start            # the records themselves\n", demoStream)
	t.printf("    shardmill logs %s                 # what the function printed\n", demoFunction)
	t.printf("    aws sqs receive-message --endpoint-url %s --queue-url %s\n", d.s.Endpoint(), d.queue)
	t.printf("  and with the AWS CLI, SDKs, Terraform: everything points at %s\n", d.s.Endpoint())
}
