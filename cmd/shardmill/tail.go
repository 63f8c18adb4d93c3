package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

type tailRecord struct {
	Shard                       string
	SequenceNumber              string
	PartitionKey                string
	ApproximateArrivalTimestamp float64
	Data                        []byte
}

func newTail() *cobra.Command {
	var from string
	var follow bool
	c := &cobra.Command{
		Use:     "tail STREAM",
		Short:   "Print the records of a stream as they come",
		Example: "  shardmill tail orders\n  shardmill tail orders --from start --follow=false",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "tail takes one stream; got %d arguments", len(args))
			}
			return nil
		},
	}
	conn, out := connectionFlags(c), outputFlag(c)
	c.Flags().StringVar(&from, "from", "now", "where to begin: now, or start (the oldest record)")
	c.Flags().BoolVarP(&follow, "follow", "f", true, "go on as records come; false: end when all have been printed")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		kind, ok := map[string]string{"now": "LATEST", "start": "TRIM_HORIZON"}[from]
		if !ok {
			return usage(c, "--from is %q; it must be now or start", from)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		t := newTerminal(c.OutOrStdout())
		var mu sync.Mutex
		shown := 0
		show := func(r tailRecord) error {
			mu.Lock()
			defer mu.Unlock()
			shown++
			if js {
				return printJSON(c.OutOrStdout(), r)
			}
			at := time.UnixMilli(int64(r.ApproximateArrivalTimestamp * 1000)).Format("15:04:05.000")
			t.printf(
				"%s %s %s %s\n", t.dim(at), t.blue(shardNumber(r.Shard)+"·"), t.bold(r.PartitionKey), t.data(r.Data),
			)
			return nil
		}
		if err := cl.tail(c.Context(), args[0], kind, follow, show); err != nil {
			return explain(err)
		}
		if shown == 0 && c.Context().Err() == nil {
			errs := newTerminal(c.ErrOrStderr())
			if from == "now" {
				errs.printf("%s no record has come; --from start begins with the oldest\n", errs.dim("hint:"))
			} else {
				errs.printf("%s the stream %s holds no record\n", errs.dim("hint:"), args[0])
			}
		}
		return nil
	}
	return c
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

// tail reads every shard of a stream, starting at an iterator type.
func (c *client) tail(ctx context.Context, stream, kind string, follow bool, show func(tailRecord) error) error {
	var shards struct{ Shards []struct{ ShardId string } }
	if err := c.kinesis(ctx, "ListShards", map[string]any{"StreamName": stream}, &shards); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, s := range shards.Shards {
		wg.Go(func() {
			if err := c.tailShard(ctx, stream, s.ShardId, kind, follow, show); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// pollEvery is how often tail asks for more at the end of a shard; GetRecords does not wait.
const pollEvery = 250 * time.Millisecond

func (c *client) tailShard(
	ctx context.Context, stream, shard, kind string, follow bool, show func(tailRecord) error,
) error {
	var it struct{ ShardIterator string }
	if err := c.kinesis(
		ctx, "GetShardIterator", map[string]any{"StreamName": stream, "ShardId": shard, "ShardIteratorType": kind}, &it,
	); err != nil {
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for it.ShardIterator != "" {
		var got struct {
			Records            []tailRecord
			NextShardIterator  string
			MillisBehindLatest int64
		}
		if err := c.kinesis(ctx, "GetRecords", map[string]any{"ShardIterator": it.ShardIterator}, &got); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		it.ShardIterator = got.NextShardIterator
		for _, r := range got.Records {
			r.Shard = shard
			if err := show(r); err != nil {
				return err
			}
		}
		if len(got.Records) > 0 || got.MillisBehindLatest > 0 {
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
