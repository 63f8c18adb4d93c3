package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
)

func newHealth() *cobra.Command {
	c := &cobra.Command{
		Use:   "health",
		Short: "Say whether the server is ready; exit code 0 if it is",
		Long: `Says whether every API of the server answers: exit code 0 if so, 1 if it is starting, stopping or being reset, 3 if nobody answers.
It needs neither a key nor a token, so that a container's health check can be this very program.`,
		Example: "  shardmill health\n  shardmill health --endpoint https://shardmill.example:4566 --timeout 2s",
	}
	conn, out := connectionFlags(c), outputFlag(c)
	limit := c.Flags().Duration("timeout", 5*time.Second, "how long the answer may take")
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		if *limit <= 0 {
			return usage(c, "--timeout is %s; it must be more than nothing", *limit)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), *limit)
		defer cancel()
		var answer struct {
			Ready bool `json:"ready"`
		}
		err = cl.do(ctx, "", http.MethodGet, control.PathReady, http.Header{}, nil, &answer)
		var refusal *apiError
		switch {
		case errors.As(err, &refusal) && refusal.status == http.StatusServiceUnavailable:
			return &failure{
				text: "the server at " + cl.endpoint + " is not ready", hint: "it starts, stops or is being reset; ask again",
			}
		case err != nil:
			return explain(err)
		case !answer.Ready:
			return &failure{text: "what answers at " + cl.endpoint + " is no shardmill"}
		case js:
			return printJSON(c.OutOrStdout(), map[string]bool{"ready": true})
		}
		newTerminal(c.OutOrStdout()).printf("ready\n")
		return nil
	}
	return c
}
