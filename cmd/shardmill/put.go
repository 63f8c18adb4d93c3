package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

type putAnswer struct {
	ShardId        string
	SequenceNumber string
}

func newPut() *cobra.Command {
	var key string
	var lines bool
	var generated loadFlags
	c := &cobra.Command{
		Use:   "put STREAM [DATA]",
		Short: "Put a record, one a line of standard input, or generated ones at a rate",
		Example: `  shardmill put orders '{"id":1}'             partition key: the data itself
  shardmill put orders --key customer-7 '{"id":1}'
  seq 1000 | shardmill put orders --lines     one record a line
  shardmill put orders --rate 500/s --duration 30s '{"id": {{n}}}'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage(c, "put takes a stream and at most one piece of data; got %d arguments", len(args))
			}
			return nil
		},
	}
	conn, out := connectionFlags(c), outputFlag(c)
	c.Flags().StringVar(&key, "key", "", "partition key (default: the first 256 characters of the data)")
	c.Flags().BoolVar(&lines, "lines", false, "one record a line of standard input")
	generated.register(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		if generated.asked(c) {
			if lines {
				return usage(c, "--lines reads standard input; --rate, --count and --duration generate records")
			}
			l, err := generated.load(c, key, strings.Join(args[1:], ""))
			if err != nil {
				return err
			}
			return runLoad(c, cl, args[0], l, js)
		}
		if c.Flags().Changed("keys") {
			return usage(c, "--keys goes with --rate, --count or --duration")
		}
		if c.Flags().Changed("key") && key == "" {
			return usage(c, "--key is empty; a partition key has 1 to 256 characters")
		}
		put := func(data []byte) error {
			var a putAnswer
			in := map[string]any{
				"StreamName": args[0], "Data": data, "PartitionKey": first(key, clipKey(string(data)), "empty"),
			}
			if err := cl.kinesis(c.Context(), "PutRecord", in, &a); err != nil {
				return explain(err)
			}
			if js {
				return printJSON(c.OutOrStdout(), a)
			}
			newTerminal(c.OutOrStdout()).printf("%s %s\n", a.ShardId, a.SequenceNumber)
			return nil
		}
		switch {
		case lines && len(args) == 2:
			return usage(c, "--lines reads standard input; leave the data away")
		case lines:
			return putLines(c, put)
		case len(args) == 2:
			return put([]byte(args[1]))
		}
		data, err := io.ReadAll(io.LimitReader(standardInput(c, "the record"), maxPut+1))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if len(data) == 0 {
			return &failure{
				text: "standard input is empty; nothing has been put",
				hint: "an empty record is put with: shardmill put " + args[0] + " ''",
			}
		}
		if len(data) > maxPut {
			return &failure{
				text: "standard input holds more than 10 MiB, the largest record there can be",
				hint: "with --lines each line is a record of its own",
			}
		}
		return put(data)
	}
	return c
}

// maxPut is the largest record that a stream accepts.
const maxPut = 10 << 20

// putLines puts the lines of standard input.
func putLines(c *cobra.Command, put func([]byte) error) error {
	n := 0
	err := eachLine(standardInput(c, "a record a line"), func(line []byte) error {
		n++
		return put(line)
	})
	if err == nil && n == 0 {
		err = &failure{text: "standard input holds no line; nothing has been put"}
	}
	return err
}

// eachLine calls f with each line of r, without its end.
func eachLine(r io.Reader, f func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxPut+2)
	n := 0
	for s.Scan() {
		n++
		if err := f(s.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return &failure{
			text: fmt.Sprintf(
				"line %d is longer than 10 MiB, the largest record there can be; the %d before it are put", n+1, n,
			),
		}
	}
	return s.Err()
}

// clipKey cuts a partition key to the 256 characters that are allowed.
func clipKey(s string) string {
	n := 0
	for i := range s {
		if n == 256 {
			return s[:i]
		}
		n++
	}
	return s
}
