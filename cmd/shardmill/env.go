package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
)

func newEnv() *cobra.Command {
	c := &cobra.Command{
		Use:     "env",
		Short:   "Print the exports that point AWS clients at the server",
		Example: "  eval \"$(shardmill env)\"\n  eval \"$(shardmill env --wait 10s --check)\"",
	}
	conn, out := connectionFlags(c), outputFlag(c)
	wait := c.Flags().Duration("wait", 0, "wait until the server answers, this long at most")
	check := c.Flags().Bool("check", false, "say on standard error whether the AWS CLI and Python on the PATH will do")
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		if *wait < 0 || *wait == 0 && c.Flags().Changed("wait") {
			return usage(c, "--wait is %s; it must be more than nothing", *wait)
		}
		if *wait > 0 {
			if err := cl.here().untilReady(c.Context(), *wait); err != nil {
				return explain(err)
			}
		}
		if *check {
			errs := newTerminal(c.ErrOrStderr())
			for _, line := range checkTools(c.Context(), cl.endpoint) {
				errs.printf("%s\n", line)
			}
		}
		reached := cl.reach(c.Context())
		vars := [][2]string{
			{"AWS_ENDPOINT_URL", cl.endpoint},
			{"AWS_REGION", cl.region},
			{"AWS_DEFAULT_REGION", cl.region},
		}
		if !reached.Verified { // else the keys of this shell stay
			vars = append(vars,
				[2]string{"AWS_ACCESS_KEY_ID", cl.account}, [2]string{"AWS_SECRET_ACCESS_KEY", anySecret})
		}
		if reached.CA != "" && strings.HasPrefix(cl.at.base, "https:") {
			vars = append(vars, [2]string{"AWS_CA_BUNDLE", reached.CA})
			reached.CA = ""
		}
		if js {
			m := map[string]string{}
			for _, v := range vars {
				m[v[0]] = v[1]
			}
			return printJSON(c.OutOrStdout(), m)
		}
		t := newTerminal(c.OutOrStdout())
		for _, v := range vars {
			t.printf("export %s=%s\n", v[0], shellWord(v[1]))
		}
		for _, line := range reachLines(cl.endpoint, reached) {
			t.printf("# %s\n", line)
		}
		if strings.HasPrefix(cl.endpoint, "unix:") {
			t.printf("# The clients of AWS do not speak over unix sockets; the commands of shardmill do.\n")
			return nil
		}
		t.printf(
			"# The AWS CLI v1 ignores AWS_ENDPOINT_URL for `aws sqs`: add --endpoint-url %s there.\n",
			shellWord(cl.endpoint),
		)
		return nil
	}
	return c
}

// reachPatience is how long a server is asked how it is reached: env also serves to prepare for one that does not run.
const reachPatience = 300 * time.Millisecond

// reach returns how the server is reached. Of one that does not answer, or whose token is not here, nothing is known.
func (c *client) reach(ctx context.Context) (r control.Reach) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	if err := c.here().control(ctx, http.MethodGet, control.PathReach, nil, &r); err != nil {
		return control.Reach{}
	}
	return r
}

// here returns a client that speaks to a server of this machine without TLS: its certificate need not be trusted yet.
func (c *client) here() *client {
	base, secure := strings.CutPrefix(c.at.base, "https://")
	if !secure || !wire.LocalHost(base) {
		return c
	}
	plain := *c
	plain.at.base = "http://" + base
	return &plain
}

// shellWord quotes s if a shell would not read it as one plain word: the output goes through eval.
func shellWord(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:@", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
