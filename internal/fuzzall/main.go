// Command fuzzall runs every fuzz target of the module for a while, one after the other, and reports which fail.
//
// Targets are found with go test -list, so a new one needs no registration. go test leaves a failing input in the
// package's testdata/fuzz, to be committed with the fix. The exit code is 1 when a target failed or a package did not
// build.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	each := flag.Duration("time", 20*time.Second, "how long each target runs")
	only := flag.String("only", "", "regular expression on package/target; others are left out")
	list := flag.Bool("list", false, "name the targets and leave")
	flag.Parse()
	filter, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *each <= 0 {
		fmt.Fprintln(os.Stderr, "fuzzall: takes -time of more than 0, -only REGEXP and -list, and nothing else;", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, filter, *each, *list); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

// run is main without the process.
func run(ctx context.Context, w io.Writer, filter *regexp.Regexp, each time.Duration, list bool) error {
	var out, errs bytes.Buffer
	c := command(ctx, "test", "-list", "^Fuzz", "./...")
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return fmt.Errorf("listing targets: %w\n%s%s", err, errs.String(), failures(out.String()))
	}
	var chosen []target
	for _, t := range parseList(out.String()) {
		if filter.MatchString(t.String()) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		return errors.New("there is no such target")
	}
	var failed []string
	for i, t := range chosen {
		if list {
			fmt.Fprintln(w, t)
			continue
		}
		fmt.Fprintf(w, "%d/%d %s ", i+1, len(chosen), t)
		summary, err := t.run(ctx, each)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			failed = append(failed, t.String())
			fmt.Fprintf(w, "FAILED (%v)\n%s\n", err, summary)
			continue
		}
		fmt.Fprintln(w, summary)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d targets failed:\n  %s", len(failed), len(chosen), strings.Join(failed, "\n  "))
	}
	return nil
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // go test takes its children with it
	c.WaitDelay = 10 * time.Second
	return c
}

// target is one fuzz target.
type target struct{ pkg, name string }

func (t target) String() string { return t.pkg + "." + t.name }

// parseList reads the output of go test -list over several packages: the names of each package come before its "ok"
// line.
func parseList(out string) []target {
	var all []target
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) >= 2 && fields[0] == "ok":
			for _, n := range names {
				all = append(all, target{fields[1], n})
			}
			names = nil
		default: // "?" has no tests, FAIL has no names that could run
			names = nil
		}
	}
	return all
}

// failures returns the lines of go test's output that say what went wrong.
func failures(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "FAIL") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// run fuzzes t and returns the last progress line, or all output if it failed.
func (t target) run(ctx context.Context, each time.Duration) (string, error) {
	out, err := command(
		ctx, "test", t.pkg, "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(),
	).CombinedOutput()
	if err != nil {
		return string(out), err
	}
	last := "ok"
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "fuzz: "); ok && strings.Contains(rest, "execs") {
			last = strings.TrimSpace(rest)
		}
	}
	return last, nil
}
