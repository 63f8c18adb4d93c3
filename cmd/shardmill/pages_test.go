package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docs/cli.md has a row for each command, and names no flag that no command has; each flag is on some page.
func TestPagesNameTheFlags(t *testing.T) {
	t.Parallel()
	cli, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(page)
	}
	flag := regexp.MustCompile(`--[a-z][a-z-]+`)
	named := map[string]bool{}
	has := map[string]bool{"--help": true, "--aws-sigv": true, "--user": true} // the last two are curl's
	for _, f := range flag.FindAllString(text, -1) {
		named[f] = true
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if has["--"+f.Name] = true; !named["--"+f.Name] && !f.Hidden && f.Name != "help" {
				t.Errorf("no page names --%s of %s", f.Name, c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			if !sub.Hidden && !strings.Contains(string(cli), "`"+strings.TrimPrefix(sub.CommandPath(), "shardmill ")) {
				t.Errorf("docs/cli.md has no row for %s", sub.CommandPath())
			}
			walk(sub)
		}
	}
	walk(newRoot())
	for _, f := range flag.FindAllString(string(cli), -1) {
		if !has[f] {
			t.Errorf("docs/cli.md names %s, and no command has it", f)
		}
	}
}
