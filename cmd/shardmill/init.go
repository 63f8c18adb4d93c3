package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed templates
var templates embed.FS

// starter is a project that init writes.
type starter struct {
	files map[string]string // by name in the project: the template
	next  []string          // commands to type in the project before it can run
}

var starters = map[string]starter{
	"python": {
		map[string]string{
			"src/handler.py": "python/handler.py", "test_handler.py": "python/test_handler.py",
			"seed.yaml": "python/seed.yaml", "README.md": "python/README.md",
			"event.json": "common/event.json",
		},
		[]string{"python3 -m unittest                                   # the function's test"},
	},
	"node": {
		map[string]string{
			"src/index.mjs": "node/index.mjs", "handler.test.mjs": "node/handler.test.mjs",
			"seed.yaml": "node/seed.yaml", "README.md": "node/README.md",
			"event.json": "common/event.json",
		},
		[]string{"node --test                                           # the function's test"},
	},
	"go": {
		map[string]string{
			"main.go": "go/main.go", "main_test.go": "go/main_test.go", "go.mod": "go/go.mod", "go.sum": "go/go.sum",
			".gitignore": "go/gitignore",
			"seed.yaml":  "go/seed.yaml", "README.md": "go/README.md", "event.json": "common/event.json",
		},
		[]string{
			"go test                                               # the function's test",
			"CGO_ENABLED=0 go build -o build/bootstrap .           # the function",
		},
	},
}

func newInit() *cobra.Command {
	kinds := slices.Sorted(maps.Keys(starters))
	return &cobra.Command{
		Use:   "init python|node|go [DIR]",
		Short: "Write a function, its test and a seed file to start from",
		Long: `Writes a function that decodes Kinesis records and reports partial batch failures, a test for it, a sample event, and a seed file with the pipeline
around it. Files that are there are never overwritten.`,
		Example:   "  shardmill init python\n  shardmill init go orders",
		ValidArgs: kinds,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage(c, "init takes python, node or go, and at most one directory; got %d arguments", len(args))
			}
			if _, ok := starters[args[0]]; !ok {
				return usage(
					c, "there is nothing to start from for %q; it must be %s", args[0], strings.Join(kinds, ", "),
				)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 2 {
				dir = args[1]
			}
			return writeStarter(newTerminal(c.OutOrStdout()), starters[args[0]], dir)
		},
	}
}

func writeStarter(t terminal, s starter, dir string) error {
	names := slices.Sorted(maps.Keys(s.files))
	var there []string
	for _, name := range names {
		switch _, err := os.Lstat(filepath.Join(dir, name)); {
		case err == nil:
			there = append(there, name)
		case !errors.Is(err, fs.ErrNotExist): // for example a file where a directory has to be
			return &failure{text: "nothing has been written to " + dir, hint: "name another directory", err: err}
		}
	}
	if len(there) > 0 {
		return &failure{
			text: fmt.Sprintf("%s already has %s; nothing has been written", dir, strings.Join(there, ", ")),
			hint: "name another directory",
		}
	}
	for _, name := range names {
		content, err := templates.ReadFile("templates/" + s.files[name] + ".tmpl")
		if err == nil {
			err = writeNew(filepath.Join(dir, name), content)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	where := "this directory"
	if dir != "." {
		where = dir
	}
	t.printf("Written to %s: %s\n\n%s\n", where, strings.Join(names, ", "), t.bold("Next:"))
	if dir != "." {
		t.printf("    cd %s\n", shellWord(dir))
	}
	for _, line := range s.next {
		t.printf("    %s\n", line)
	}
	t.printf("    shardmill dev --seed seed.yaml                        # the pipeline; in another terminal:\n")
	t.printf("    shardmill put orders --key customer-7 '{\"id\": 1}'\n    shardmill logs orders-handler\n")
	return nil
}

// writeNew writes a file that must not exist yet.
func writeNew(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
