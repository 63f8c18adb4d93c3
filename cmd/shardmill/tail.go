package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/kpl"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

func newTail() *cobra.Command {
	var from, shard string
	var follow, decode bool
	c := &cobra.Command{
		Use:   "tail STREAM",
		Short: "Print the records of a stream as they come",
		Long: `Prints the records of all shards of a stream, or of one, as they come; after a reshard those of the children, once their parents have been read.
User records that the KPL has packed into one are shown one by one, what gzip has packed is unpacked, and JSON is shown on one line.`,
		Example: `  shardmill tail orders
  shardmill tail orders --from start --follow=false
  shardmill tail orders --from 10m --shard shardId-000000000002
  shardmill tail orders --from 2026-01-31T12:00:00Z -o json`,
		Args: exactly("tail", "one stream", 1),
	}
	conn, out := connectionFlags(c), outputFlag(c)
	c.Flags().StringVar(
		&from, "from", "now",
		"where to begin: now, start (the oldest record), how long ago (10m), a time, or a sequence number",
	)
	c.Flags().StringVar(&shard, "shard", "", "only this shard: its id or the number in it")
	c.Flags().BoolVarP(&follow, "follow", "f", true, "go on as records come; false: end when all have been printed")
	c.Flags().BoolVar(&decode, "decode", true, "open KPL aggregates, gzip and JSON; false: show data as it is")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		only := ""
		if shard != "" {
			id, ok := stream.ParseShardID(shard)
			if !ok {
				return usage(c, "--shard is %q; a shard is named by its id or the number in it", shard)
			}
			only = id.String()
		}
		if _, _, err := parseFrom(from, time.Now()); err != nil {
			return usage(c, "--from: %s", err)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		now := cl.serverTime(c.Context())
		start, its, _ := parseFrom(from, now)
		p := &tailPrinter{c: c, t: newTerminal(c.OutOrStdout()), js: js, decode: decode, name: args[0]}
		t := &tailer{c: cl, stream: args[0], from: start, follow: follow, began: now, show: p.show}
		if only = first(only, its); only == "" {
			err = t.all(c.Context())
		} else {
			var children []child
			children, err = t.one(c.Context(), only)
			defer p.hintEnd(only, children, args[0], conn.flags(cl))
		}
		if err != nil {
			return explainStream(err, conn.flags(cl))
		}
		p.hintNone(from)
		return nil
	}
	return c
}

// serverTime returns the time by the server's clock, which may be steered, if this user may see it, else that of this
// machine.
func (c *client) serverTime(ctx context.Context) time.Time {
	var s control.ClockState
	if err := c.control(ctx, http.MethodGet, control.PathClock, nil, &s); err != nil {
		return time.Now()
	}
	return s.Now
}

// tailPrinter prints records.
type tailPrinter struct {
	c      *cobra.Command
	t      terminal
	js     bool
	decode bool
	name   string // of the stream

	mu     sync.Mutex
	shown  int
	hinted bool // about aggregates that clients do not deliver
}

// show prints a record of a shard with those keys, nil if they are not known. Safe for concurrent use.
func (p *tailPrinter) show(keys *record.HashKeyRange, r tailRecord) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown++
	if !p.decode {
		return p.print(r)
	}
	if a, ok := kpl.Open(r.Data); ok && keys != nil && !p.hinted && !a.Within(*keys) {
		p.hinted = true
		errs := newTerminal(p.c.ErrOrStderr())
		errs.printf(
			"%s the aggregate %s in %s holds keys of other shards: a KCL application delivers none of its records\n",
			errs.dim("hint:"), r.SequenceNumber, r.Shard,
		)
	}
	for one := range opened(r) {
		if err := p.print(one); err != nil {
			return err
		}
	}
	return nil
}

func (p *tailPrinter) print(r tailRecord) error {
	if p.js {
		return printJSON(p.c.OutOrStdout(), r)
	}
	at := time.UnixMilli(int64(r.ApproximateArrivalTimestamp * 1000)).Format("15:04:05.000")
	where, data := shardNumber(r.Shard)+"·", r.Data
	if r.SubSequenceNumber != nil {
		where += strconv.Itoa(*r.SubSequenceNumber)
	}
	if r.JSON != nil {
		data = oneLine(r.JSON)
	}
	p.t.printf("%s %s %s %s\n", p.t.dim(at), p.t.blue(where), p.t.bold(r.PartitionKey), p.t.data(data))
	return nil
}

// oneLine returns JSON on one line: compact if it is on several, else as it is.
func oneLine(b []byte) []byte {
	var line bytes.Buffer
	if !bytes.ContainsRune(b, '\n') || json.Compact(&line, b) != nil {
		return b
	}
	return line.Bytes()
}

// hintNone says why nothing was printed.
func (p *tailPrinter) hintNone(from string) {
	if p.shown > 0 || p.c.Context().Err() != nil {
		return
	}
	errs := newTerminal(p.c.ErrOrStderr())
	switch from {
	case "now":
		errs.printf("%s no record has come; --from start begins with the oldest\n", errs.dim("hint:"))
	case "start":
		errs.printf("%s the stream %s holds no record\n", errs.dim("hint:"), p.name)
	default:
		errs.printf("%s no record has come since; --from start begins with the oldest\n", errs.dim("hint:"))
	}
}

// hintEnd says what follows a shard that has come to its end.
func (p *tailPrinter) hintEnd(shard string, children []child, stream, flags string) {
	if children == nil {
		return
	}
	ids := make([]string, len(children))
	for i := range children {
		ids[i] = children[i].ShardId
	}
	errs := newTerminal(p.c.ErrOrStderr())
	errs.printf(
		"%s %s has ended; it is followed by %s: shardmill tail %s%s --from start --shard %s\n", errs.dim("hint:"), shard,
		strings.Join(ids, " and "), shellWord(stream), flags, ids[0],
	)
}

// shardNumber returns a shard's id without the prefix that all ids share.
func shardNumber(id string) string {
	if n := strings.TrimLeft(strings.TrimPrefix(id, "shardId-"), "0"); n != "" {
		return n
	}
	return "0"
}

// hexBytes is how much of binary data a terminal shows.
const hexBytes = 64

// data returns the data of a record for display. On a terminal, data that is not text is shown as its length and its
// beginning in hex; pipes get it converted to text as far as possible.
func (t terminal) data(b []byte) text {
	isText := utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\n\r\x1b", r)
	})
	switch {
	case isText:
		return t.text("%s", b)
	case !t.live:
		return text(strings.ToValidUTF8(string(b), "\uFFFD"))
	case len(b) > hexBytes:
		return t.text("%s: % x …", counted(len(b), "byte"), b[:hexBytes])
	}
	return t.text("%s: % x", counted(len(b), "byte"), b)
}
