package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/auth"
)

// defaultKeys is the key file that commands use where none is named.
const defaultKeys = "shardmill-keys.yaml"

func newAuth() *cobra.Command {
	c := &cobra.Command{
		Use:   "auth",
		Short: "Write the key file of a server that verifies signatures",
	}
	c.AddCommand(newAuthNew())
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, "%s has no command %q", c.CommandPath(), args[0])
		}
		return c.Help()
	}
	c.Args = cobra.ArbitraryArgs
	return c
}

func newAuthNew() *cobra.Command {
	var role, account, file string
	var streams []string
	c := &cobra.Command{
		Use:   "new NAME --role ROLE",
		Short: "Add a key to a key file, and print its secret, which is shown this once",
		Long: `Adds a key to the key file, which it makes if there is none, with mode 0600. A server that runs with --auth static:FILE takes it over
within a second. The output goes through eval in the shell that is to use the key.`,
		Example: "  shardmill auth new ci --role produce --stream 'orders-*'\n  shardmill serve --data DIR --auth static:" + defaultKeys,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(
					c, "%s takes the name of whoever gets the key; got %q", c.CommandPath(), strings.Join(args, " "),
				)
			}
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", "", "what it may do: view, consume, produce, operate, admin; see docs/auth.md")
	c.Flags().StringVar(&account, "account", auth.DefaultAccount, "the account that it works in, twelve digits")
	c.Flags().StringSliceVar(
		&streams, "stream", nil, "a pattern of the streams that it may use, such as 'orders-*'; may be given again (default: all)",
	)
	c.Flags().StringVar(&file, "file", defaultKeys, "the key file")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		rights := auth.Rights{Role: auth.Role(role), Streams: streams}
		if err := checkKey(c, args[0], account, rights); err != nil {
			return err
		}
		k := auth.New(args[0], account, rights)
		switch err := auth.Add(file, k); {
		case errors.Is(err, fs.ErrNotExist):
			dir := shellWord(filepath.Dir(file))
			return &failure{
				code: exitUsage, text: "the key file " + file + ": its directory does not exist",
				hint: "mkdir -p " + dir,
			}
		case err != nil:
			return authFailure(err, file)
		}
		if js {
			return printJSON(c.OutOrStdout(), map[string]string{
				"AccessKeyId": k.ID, "SecretAccessKey": k.Secret, "File": file,
			})
		}
		t := newTerminal(c.OutOrStdout())
		t.printf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", k.ID, shellWord(k.Secret))
		t.printf("# The secret is shown this once. %s holds it, too: keep that file to yourself.\n", shellWord(file))
		return nil
	}
	return c
}

// checkKey says what a key cannot have.
func checkKey(c *cobra.Command, name, account string, rights auth.Rights) error {
	switch {
	case rights.Role == "":
		return usage(c, "--role is missing: view, consume, produce, operate or admin")
	case !rights.Role.Valid():
		return usage(c, "--role is %q; it must be view, consume, produce, operate or admin", rights.Role)
	case !auth.ValidName(name):
		return usage(c, "the name %q must have 1 to 128 letters, digits and characters of + = , . @ - _", name)
	case !auth.ValidAccount(account):
		return usage(c, "--account is %q; it must have twelve digits", account)
	}
	for _, p := range rights.Streams {
		if !auth.ValidPattern(p) {
			return usage(c, "--stream %q is no pattern: it has 1 to 128 characters of a stream's name, and * for any text", p)
		}
	}
	if c.Flags().Changed("stream") && len(rights.Streams) == 0 {
		return usage(c, "--stream names no pattern")
	}
	return nil
}

// authFailure says what to do about a key file.
func authFailure(err error, path string) error {
	f := &failure{code: exitUsage, text: err.Error(), hint: "docs/auth.md says what a key file holds"}
	var others *auth.OpenToOthers
	switch {
	case errors.As(err, &others):
		f.hint = "chmod 600 " + shellWord(path)
	case errors.Is(err, fs.ErrNotExist):
		f.hint = "make one with: shardmill auth new NAME --role admin --file " + shellWord(path)
	case errors.Is(err, fs.ErrPermission):
		f.hint = "it must belong to the user who runs shardmill, with mode 0600"
	}
	return f
}
