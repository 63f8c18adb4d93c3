package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// putFlags are the flags of put.
type putFlags struct {
	key, field string
	files      []string
	lines      bool
	aggregate  bool
	load       loadFlags
}

func newPut() *cobra.Command {
	var f putFlags
	c := &cobra.Command{
		Use:   "put STREAM [DATA]",
		Short: "Put a record, files, one a line, or generated ones at a rate",
		Example: `  shardmill put orders '{"id":1}'             partition key: the data itself
  shardmill put orders --key customer-7 '{"id":1}'
  shardmill put orders --file photo.jpg --file photo2.jpg
  seq 1000 | shardmill put orders --lines     one record a line
  shardmill put orders --lines --file orders.jsonl --key-field customer.id --rate 200/s
  shardmill put orders --rate 500/s --duration 30s '{"id": {{n}}}'
  shardmill put orders --lines --file orders.jsonl --aggregate`,
		Args: between("put", "a stream and at most one piece of data", 1, 2),
	}
	conn, out := connectionFlags(c), outputFlag(c)
	c.Flags().StringVar(&f.key, "key", "", "partition key (default: the first 256 characters of the data)")
	c.Flags().StringVar(&f.field, "key-field", "", "take the partition key from this field of JSON data, such as customer.id")
	c.Flags().StringArrayVar(&f.files, "file", nil, "put a file, or with --lines its lines; - is standard input; may be repeated")
	c.Flags().BoolVar(&f.lines, "lines", false, "one record a line of standard input or of the files")
	c.Flags().BoolVar(&f.aggregate, "aggregate", false, "pack records into aggregates as the Kinesis Producer Library does")
	f.load.register(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		k, err := f.check(c, args)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		p := &putter{cl: cl, stream: args[0]}
		if f.aggregate {
			p.pack = &packing{list: func(ctx context.Context) ([]shard, error) { return cl.shards(ctx, args[0]) }}
		}
		flags := conn.flags(cl)
		if f.generates(c) {
			l, err := f.load.load(c, k, strings.Join(args[1:], ""))
			if err != nil {
				return err
			}
			if f.aggregate {
				l.batch = packRecords
			}
			return explainStream(runLoad(c, p, l, js), flags)
		}
		show := func(places []placement) error { return showPlaces(c, places, js) }
		if len(args) == 2 {
			return explainStream(p.one(c.Context(), []byte(args[1]), "the data", &k, show), flags)
		}
		in, err := newInputs(c, f.files, f.lines)
		if err != nil {
			return err
		}
		defer in.close()
		if !f.lines && len(f.files) == 0 {
			return explainStream(p.input(c.Context(), in, &k, show), flags)
		}
		p.placed = show
		rate := 0.0
		if f.load.rate != "" {
			if rate, err = parseRate(f.load.rate); err != nil {
				return usage(c, "--rate %s", err)
			}
		}
		return explainStream(p.drain(c.Context(), in, &k, rate), flags)
	}
	return c
}

// generates reports whether records are to be generated, and not read.
func (f *putFlags) generates(c *cobra.Command) bool {
	return f.load.asked(c) && !f.lines && len(f.files) == 0
}

// check refuses flags that do not go together, and returns how keys are chosen.
func (f *putFlags) check(c *cobra.Command, args []string) (k keyer, err error) {
	given := c.Flags().Changed
	reads := f.lines || len(f.files) > 0
	switch {
	case reads && len(args) == 2 && f.lines && len(f.files) == 0:
		return k, usage(c, "--lines reads standard input; leave the data away")
	case reads && len(args) == 2:
		return k, usage(c, "--file says what to put; leave the data away")
	case reads && (given("count") || given("duration")):
		return k, usage(c, "--lines and --file read records; --count and --duration generate them")
	case reads && given("rate") && !f.lines:
		return k, usage(c, "--rate goes with --lines, or with generated records")
	case given("keys") && !f.generates(c):
		return k, usage(c, "--keys goes with generated records: --rate, --count or --duration without --lines")
	case given("key") && f.key == "":
		return k, usage(c, "--key is empty; a partition key has 1 to %d characters", maxKey)
	case given("key") && given("key-field"):
		return k, usage(c, "--key and --key-field exclude each other")
	case f.aggregate && !reads && !f.generates(c):
		return k, usage(c, "--aggregate packs many records; a single one is put as it is")
	}
	k.key = f.key
	if given("key-field") {
		if k.field, err = parseField(f.field); err != nil {
			return k, usage(c, "--key-field: %s", err)
		}
	}
	return k, nil
}

// showPlaces prints where records were put.
func showPlaces(c *cobra.Command, places []placement, js bool) error {
	t := newTerminal(c.OutOrStdout())
	for _, p := range places {
		if js {
			if err := printJSON(c.OutOrStdout(), p); err != nil {
				return err
			}
			continue
		}
		packed := ""
		if p.Records > 0 {
			packed = " " + counted(p.Records, "record")
		}
		t.printf("%s %s%s\n", p.ShardId, p.SequenceNumber, packed)
	}
	return nil
}

// one puts a single record. It is not put again if it is refused: who puts one record wants to see what comes of it.
func (p *putter) one(
	ctx context.Context, data []byte, what string, k *keyer, show func([]placement) error,
) error {
	key, err := k.of(data)
	if err != nil {
		return &failure{text: fmt.Sprintf("%s %s; nothing has been put", what, err)}
	}
	var a placement
	in := of(p.stream, map[string]any{"Data": data, "PartitionKey": key})
	if err := p.cl.kinesis(ctx, "PutRecord", in, &a); err != nil {
		return err
	}
	return show([]placement{a})
}

// input puts standard input as one record.
func (p *putter) input(ctx context.Context, in *inputs, k *keyer, show func([]placement) error) error {
	data, what, _, err := in.next()
	if errors.Is(err, errNoInput) {
		return &failure{
			text: "standard input is empty; nothing has been put",
			hint: "an empty record is put with: shardmill put " + shellWord(p.stream) + " ''",
		}
	}
	if err != nil {
		return err
	}
	return p.one(ctx, data, what, k, show)
}

// drain puts all that in holds, so many records a second; 0: as fast as the server takes them. What is at hand goes in
// one call, and nothing that is waits for what is not.
func (p *putter) drain(ctx context.Context, in *inputs, k *keyer, rate float64) error {
	l := load{rate: rate}
	if p.pack != nil {
		l.batch = packRecords
	}
	tick := time.NewTicker(loadTick)
	defer tick.Stop()
	for began, sent := time.Now(), 0; ; {
		n, _ := l.due(time.Since(began), sent)
		if n == 0 {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		batch, err := gather(in, k, n)
		if perr := p.put(ctx, batch); perr != nil { // what was read before an error is put
			return perr
		}
		switch sent += len(batch); {
		case errors.Is(err, io.EOF) && in.all == 0:
			return &failure{text: in.last + " holds no line; nothing has been put"}
		case errors.Is(err, errNoInput):
			return &failure{text: "standard input is empty; " + before(sent)}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// gather reads at most n records, and no more than are at hand or one call takes.
func gather(in *inputs, k *keyer, n int) (batch []putEntry, err error) {
	for size := 0; len(batch) < n && size < loadBytes; {
		data, what, more, err := in.next()
		if err != nil {
			return batch, err
		}
		e := putEntry{Data: data}
		if e.PartitionKey, err = k.of(data); err != nil {
			return batch, &failure{text: fmt.Sprintf("%s %s; %s", what, err, before(in.all-1))}
		}
		batch, size = append(batch, e), size+len(data)
		if !more {
			break
		}
	}
	return batch, nil
}
