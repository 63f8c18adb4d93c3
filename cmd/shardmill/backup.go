package main

import (
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
)

func newBackup() *cobra.Command {
	c := &cobra.Command{
		Use:   "backup",
		Short: "Copy the data directory of a running server",
		Long: `The copy holds everything that was acknowledged before it began, as of one moment; the server goes on meanwhile.
It is a data directory like any other: serve --data starts on it, check --data verifies it. On the same file system both
share the files that never change, so it is made at once and takes little space; copy it to another disk to survive the loss of this one.`,
		Example: "  shardmill backup --data DIR --to /mnt/backup/monday\n  shardmill check --data /mnt/backup/monday",
	}
	conn, out := controlFlags(c), outputFlag(c)
	to := c.Flags().String("to", "", "the directory to make, on the server's machine; it must not exist, or be empty")
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		if *to == "" {
			return usage(c, "backup needs a place to copy to: --to DIR")
		}
		path, err := filepath.Abs(*to)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		var a control.BackupAnswer
		err = cl.control(c.Context(), http.MethodPost, control.PathBackup, control.BackupRequest{To: path}, &a)
		if err != nil {
			return explain(err)
		}
		if js {
			return printJSON(c.OutOrStdout(), a)
		}
		newTerminal(c.OutOrStdout()).printf(
			"%s is copied to %s: %d files, %s, of which %s are shared with it\n", a.Data, a.To, a.Files, size(int(a.Bytes)),
			size(int(a.Linked)),
		)
		t := newTerminal(c.ErrOrStderr())
		t.printf("%s verify it with: shardmill check --data %s\n", t.dim("hint:"), shellWord(a.To))
		return nil
	}
	return c
}
