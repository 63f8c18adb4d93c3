// Command bench measures shardmill beside the physical limit of each path, in the same run.
//
// A figure is one path. It has one or more raw references (a file written and synced, a bare HTTP server, a bare
// long-poll loop) and ours. They take turns within each round, so that a noisy machine is noisy for both, and the ratio
// is taken round by round. Servers are processes of the built binary; the load generator runs on the same machine.
// Every figure that moves records counts what was acknowledged and what was delivered; the exit code is 1 if they
// differ anywhere. docs/bench.md explains how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareMode {
		if err := serveBare(os.Stdout, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "bench: bare server:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run parses the command line, measures and prints.
func run(ctx context.Context) error {
	rounds := flag.Int("rounds", 5, "how often each figure and its references are measured")
	each := flag.Duration("time", 700*time.Millisecond, "how long one measurement of a rate lasts")
	only := flag.String("only", "", "regular expression on the names of figures; the others are left out")
	list := flag.Bool("list", false, "name the figures and leave")
	output := flag.String("o", "table", "table or json")
	dir := flag.String("dir", ".", "where the temporary directory is made; it must be on a real disk")
	binary := flag.String("bin", "bin/shardmill", "the server to measure; built when it is absent")
	reopen := flag.Int64("reopen-bytes", 1<<30, "how much data the figure reopen writes before it kills the server")
	flag.Parse()
	filter, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("takes flags only; got %q", flag.Args())
	case *rounds < 1 || *each < 10*time.Millisecond || *reopen < 1<<20:
		return errors.New("-rounds must be 1 or more, -time 10ms or more, -reopen-bytes 1048576 or more")
	case *output != "table" && *output != "json":
		return fmt.Errorf("-o is %q; it must be table or json", *output)
	}
	var chosen []figure
	for _, f := range figures() {
		if filter.MatchString(f.name) {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return errors.New("-only leaves no figure; -list names them")
	}
	if *list {
		for _, f := range chosen {
			fmt.Printf("%-20s %s\n", f.name, f.what)
		}
		return nil
	}
	l, err := newLab(ctx, options{rounds: *rounds, each: *each, dir: *dir, binary: *binary, reopen: *reopen})
	if err != nil {
		return err
	}
	defer l.close()
	var results []result
	var wrong error
	for i, f := range chosen {
		r, err := l.measure(ctx, f, fmt.Sprintf("%d/%d %s", i+1, len(chosen), f.name))
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", f.name, errors.Join(err, l.died()))
			fmt.Fprintln(os.Stderr, "bench:", err)
			wrong = errors.Join(wrong, err)
			continue
		}
		results = append(results, r)
	}
	if err := print(os.Stdout, *output, l.machine(), results); err != nil {
		return err
	}
	return wrong
}
