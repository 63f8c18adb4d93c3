package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
)

func newLogs() *cobra.Command {
	var follow bool
	var since time.Duration
	c := &cobra.Command{
		Use:     "logs FUNCTION",
		Short:   "Print what a function has logged",
		Example: "  shardmill logs orders-handler\n  shardmill logs orders-handler --since 10m -f",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "logs takes one function; got %d arguments", len(args))
			}
			return nil
		},
	}
	conn, out := controlFlags(c), outputFlag(c)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come")
	c.Flags().DurationVar(&since, "since", 0, "only lines of the last while, such as 10m (default: all that are kept)")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		if since < 0 || since == 0 && c.Flags().Changed("since") {
			return usage(c, "--since is %s; it must be more than nothing", since)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		service, h, err := cl.controller()
		if err != nil {
			return err
		}
		q := url.Values{"function": {args[0]}, "account": {cl.account}, "region": {cl.region}}
		if since > 0 {
			q.Set("since", since.String())
		}
		if follow {
			q.Set("follow", "1")
		}
		resp, err := cl.send(
			c.Context(), service, http.MethodGet, control.PathLogs+"?"+q.Encode(), h, nil,
		)
		if err != nil {
			return explain(err)
		}
		defer resp.Body.Close()
		t := newTerminal(c.OutOrStdout())
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(make([]byte, 64<<10), 4<<20)
		none := true
		for lines.Scan() {
			none = false
			if js {
				t.printf("%s\n", lines.Text())
				continue
			}
			var l control.LogLine
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return errors.New("the server's answer does not parse")
			}
			t.printf("%s %s\n", stamp(t, l.At), strings.TrimRight(l.Message, "\n"))
		}
		if c.Context().Err() != nil {
			return nil
		}
		if err := lines.Err(); err != nil {
			return err
		}
		if none && since > 0 {
			newTerminal(c.ErrOrStderr()).printf(
				"hint: the function %s has logged nothing in the last %s\n", args[0], since,
			)
		} else if none {
			newTerminal(c.ErrOrStderr()).printf("hint: the function %s has logged nothing yet\n", args[0])
		}
		return nil
	}
	return c
}
