package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/storage/pebble"
)

// checked is what check prints with -o json.
type checked struct {
	pebble.Contents
	Findings []pebble.Finding `json:"findings"`
}

func newCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Verify a data directory that no server uses",
		Long: `Reads everything and changes nothing: every checksum, positions without holes, the index against the records, the metadata of streams
against their shards, code packages and objects against what names them. Each finding is a line; with one or more the command ends with 1.`,
		Example: "  shardmill check --data DIR",
	}
	data := c.Flags().String("data", "", "the directory to check: of a stopped server, or a backup")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		if *data == "" {
			return usage(c, "check needs a directory: --data DIR")
		}
		t := newTerminal(c.OutOrStdout())
		result := checked{Findings: []pebble.Finding{}}
		log := slog.New(slog.DiscardHandler) // a crash's leftovers are no finding
		result.Contents, err = server.Check(c.Context(), *data, log, func(f pebble.Finding) {
			result.Findings = append(result.Findings, f)
			if !js {
				t.printf("%s: %s\n", f.Where, f.What)
			}
		})
		var unusable *server.DataError
		if errors.As(err, &unusable) {
			return &failure{code: exitData, text: unusable.Error(), hint: unusable.Hint}
		}
		if err != nil {
			return fmt.Errorf("the check did not come to its end: %w", err)
		}
		if js {
			if err := printJSON(c.OutOrStdout(), result); err != nil {
				return err
			}
		}
		if n := len(result.Findings); n > 0 {
			return &failure{
				text: fmt.Sprintf("%s is not whole: %s", *data, counted(n, "finding")),
				hint: "check the disk, then restore a backup: shardmill backup makes them",
			}
		}
		if !js {
			t.printf(
				"%s is whole: %d records in %d shards, %d values\n", *data, result.Records, result.Shards,
				result.Values,
			)
		}
		return nil
	}
	return c
}
