// Command shardmill runs Kinesis → Lambda pipelines anywhere: one process takes records, keeps them, and invokes
// functions on them.
//
// One file per subcommand. Flags, files and the environment meet here and nowhere else; the result goes to package
// server as one Config.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, documented in docs/cli.md.
const (
	exitFailure     = 1 // the command failed
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // no server answers
	exitData        = 4 // the data directory cannot be used
	exitPort        = 5 // the port is in use
	exitFunction    = 6 // a function ran and failed
	exitInterrupted = 130
)

// failure is an error for a person: what happened, and what to do about it.
type failure struct {
	code int
	text string
	hint string
	err  error
}

func (f *failure) Error() string {
	if f.err != nil {
		return f.text + ": " + f.err.Error()
	}
	return f.text
}

func (f *failure) Unwrap() error { return f.err }

func main() {
	if runtime.GOOS == "windows" {
		fmt.Fprintln(os.Stderr, "shardmill: Windows is not supported; use WSL 2, Linux or macOS.")
		os.Exit(exitFailure)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := interruptible()
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	checkHelpers(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted // as the user asked: nothing to explain
	}
	t := newTerminal(stderr)
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: exitFailure, text: err.Error()}
	} else if f.code == 0 {
		f.code = exitFailure
	}
	t.printf("%s %s\n", t.red("error:"), err)
	if f.hint != "" {
		t.printf("%s %s\n", t.dim("hint:"), f.hint)
	}
	return f.code
}

// interruptible returns a context that the first SIGINT or SIGTERM ends; a second one leaves at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-done:
				return
			}
			if ctx.Err() != nil {
				os.Exit(exitInterrupted)
			}
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "shardmill",
		Short: "Kinesis → Lambda pipelines anywhere: on a laptop, in CI, on your own hardware",
		Long: `shardmill runs Kinesis → Lambda pipelines in one process, without Docker and without an AWS account.
Producers put records over the Kinesis API; event source mappings batch them and invoke functions, which are plain processes;
failed batches are retried, bisected, aged out or announced to a queue, a topic or a bucket as AWS does it.`,
		Example: `  shardmill demo                    see a pipeline at work, one poison record included
  shardmill dev                     a server in memory for development and tests
  shardmill serve --data DIR        a server that keeps everything`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &failure{code: exitUsage, text: err.Error(), hint: "run " + c.CommandPath() + " --help"}
	})
	root.AddCommand(
		newAuth(), newDemo(), newDemoHandler(), newDev(), newServe(), newEnv(), newHealth(), newInit(), newInvoke(),
		newPut(), newTail(), newStream(), newLogs(), newReplay(), newClock(), newChaos(), newBackup(), newCheck(),
		newVersion(),
	)
	root.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		f := &failure{
			code: exitUsage, text: fmt.Sprintf("there is no command %q", args[0]),
			hint: "run " + c.CommandPath() + " --help",
		}
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			f.hint = "did you mean " + strings.Join(like, " or ") + "?"
		}
		return f
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	root.SuggestionsMinimumDistance = 2
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArgs
		}
	}
	return root
}

// checkHelpers makes the library's own commands refuse unknown arguments, as ours do. root's output must be set before:
// they use it.
func checkHelpers(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usage(
						root, "%s has no command %q", found.CommandPath(),
						first(strings.Join(rest, " "), strings.Join(args, " ")),
					)
				}
				return nil
			}
		case "completion":
			var shells []string
			for _, shell := range c.Commands() {
				shells = append(shells, shell.Name())
				shell.Args = noArgs
			}
			c.Args = func(c *cobra.Command, args []string) error {
				return usage(
					c, "completion is for one shell: %s; got %q", strings.Join(shells, ", "), strings.Join(args, " "),
				)
			}
			c.RunE = func(*cobra.Command, []string) error { return nil } // not reached: its arguments are refused
		}
	}
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "%s takes no arguments; got %q", c.CommandPath(), args[0])
	}
	return nil
}

func usage(c *cobra.Command, format string, args ...any) error {
	return &failure{code: exitUsage, text: fmt.Sprintf(format, args...), hint: "run " + c.CommandPath() + " --help"}
}
