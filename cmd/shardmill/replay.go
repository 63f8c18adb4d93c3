package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
)

func newReplay() *cobra.Command {
	var in control.ReplayRequest
	c := &cobra.Command{
		Use:   "replay MAPPING --shard S --from SEQ --to SEQ",
		Short: "Invoke a mapping's function again with records of its stream",
		Long: `Invokes the function of a mapping once for every batch of a range of records, in order, outside of what the mapping does: no checkpoint moves,
nothing is retried, nothing is announced, and the mapping may be disabled. MAPPING is its UUID, or the name of a function that has one mapping only.
Both ends of the range are included, and what retention has taken cannot be replayed. The command exits with 6 when the function fails a batch; the
rest is invoked all the same.`,
		Example: `  shardmill tail orders --from start --follow=false -o json      sequence numbers
  shardmill replay orders-handler --shard shardId-000000000000 --from 4968… --to 4968…`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "replay takes one mapping; got %d arguments", len(args))
			}
			return nil
		},
	}
	conn, out := controlFlags(c), outputFlag(c)
	c.Flags().StringVar(&in.Shard, "shard", "", "shard of the records, such as shardId-000000000000")
	c.Flags().StringVar(&in.From, "from", "", "sequence number of the first record")
	c.Flags().StringVar(&in.To, "to", "", "sequence number of the last record")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		for _, f := range []string{"shard", "from", "to"} {
			if v, _ := c.Flags().GetString(f); v == "" {
				return usage(c, "replay needs --%s", f)
			}
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		in.Account, in.Region = cl.account, cl.region
		if in.Mapping, err = cl.mappingID(c.Context(), args[0]); err != nil {
			return explain(err)
		}
		r := replayed{t: newTerminal(c.OutOrStdout()), js: js}
		if err := r.run(c.Context(), cl, in); err != nil {
			return explain(err)
		}
		if js {
			return r.verdict()
		}
		newTerminal(c.ErrOrStderr()).printf(
			"%s, %s: %d ok, %d failed, %d not run\n", counted(r.batches, "batch"), counted(r.records, "record"), r.ok,
			r.failed, r.notRun,
		)
		return r.verdict()
	}
	return c
}

// mappingID returns the UUID of a mapping, which may be named by its function.
func (c *client) mappingID(ctx context.Context, name string) (string, error) {
	if len(name) == 36 && strings.Count(name, "-") == 4 {
		return name, nil
	}
	var got struct {
		EventSourceMappings []struct{ UUID, EventSourceArn string }
	}
	if err := c.lambda(
		ctx, http.MethodGet, mappingsPath+"?"+url.Values{"FunctionName": {name}}.Encode(), nil, &got,
	); err != nil {
		return "", err
	}
	var lines []string
	for _, m := range got.EventSourceMappings {
		lines = append(lines, m.UUID+" ("+m.EventSourceArn[strings.LastIndexByte(m.EventSourceArn, '/')+1:]+")")
	}
	switch len(lines) {
	case 0:
		return "", &failure{
			text: fmt.Sprintf("there is no mapping with the function %q", name),
			hint: "name a mapping by its UUID: aws lambda list-event-source-mappings",
		}
	case 1:
		return got.EventSourceMappings[0].UUID, nil
	}
	return "", &failure{
		text: fmt.Sprintf("the function %q has %d mappings: %s", name, len(lines), strings.Join(lines, ", ")),
		hint: "name one by its UUID",
	}
}

// replayed counts the results of a replay and prints them.
type replayed struct {
	t                                    terminal
	js                                   bool
	batches, records, ok, failed, notRun int // batches but records
}

// run requests page after page.
func (r *replayed) run(ctx context.Context, cl *client, in control.ReplayRequest) error {
	for {
		var a control.ReplayAnswer
		if err := cl.control(ctx, http.MethodPost, control.PathReplay, in, &a); err != nil {
			return err
		}
		for _, b := range a.Batches {
			if err := r.show(&b); err != nil {
				return err
			}
		}
		if a.Next == "" {
			return nil
		}
		in.From = a.Next
	}
}

func (r *replayed) show(b *control.ReplayBatch) error {
	r.batches++
	r.records += b.Records
	word := text("")
	switch b.Outcome {
	case "ok":
		r.ok++
		word = r.t.green(b.Outcome)
	case "failed", "partial":
		r.failed++
		word = r.t.red(b.Outcome)
	default:
		r.notRun++
		word = r.t.yellow(b.Outcome)
	}
	if r.js {
		return printJSON(r.t.w, b)
	}
	why := ""
	if b.FailedAt != "" {
		why = " at " + b.FailedAt
	}
	if b.Reason != "" {
		why += ": " + b.Reason
	}
	r.t.printf("%s  %s, %s … %s, %d ms%s\n", word, counted(b.Records, "record"), b.From, b.To, b.DurationMillis, why)
	return nil
}

// verdict returns the error of a completed replay.
func (r *replayed) verdict() error {
	switch {
	case r.batches == 0:
		return &failure{
			text: "there is no record in that range that the mapping's filters let through; nothing has been replayed",
			hint: "sequence numbers: shardmill tail STREAM --from start --follow=false -o json",
		}
	case r.failed > 0:
		return &failure{
			code: exitFunction, text: fmt.Sprintf("the function failed %d of %d batches", r.failed, r.batches),
		}
	case r.notRun > 0:
		return &failure{text: fmt.Sprintf("%d of %d batches were not run", r.notRun, r.batches)}
	}
	return nil
}
