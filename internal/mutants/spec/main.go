// Command spec asks what the scripts of the core prove. It flips one constant or one branch of esm after another, runs
// the scripts on each, and says which scenarios change. A flip that changes nothing shows a decision that no script
// pins; a scenario that no flip changes is unproved.
//
//	go run ./internal/mutants/spec [-n 120] [-from 0] [-only tumbling.go,save.go]
//
// It takes some two seconds a flip on two processors, so it is run by hand, as make spec-mutants.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// least is how many flips a run has to try to say anything about a scenario.
const least = 60

// patience is how long the scripts may take on a flip; without one they take a second.
const patience = 10 * time.Second

// patienceOne is how long one script may take; without a flip it takes milliseconds.
const patienceOne = 2 * time.Second

// enough is how many scripts may run out of patience until the rest of them is left out: a flip that never ends in one
// ends in hardly any.
const enough = 3

func main() {
	n := flag.Int("n", 120, "how many flips to try, spread evenly over the core; 0 means all")
	from := flag.Int("from", 0, "begin so many flips later: another sample")
	only := flag.String("only", "", "files to flip, separated by commas; empty means the whole core")
	flag.Parse()
	if err := run(*n, *from, *only); err != nil {
		fmt.Fprintln(os.Stderr, "spec-mutants:", err)
		os.Exit(1)
	}
}

func run(n, from int, only string) error {
	all, err := sites("esm")
	if err != nil {
		return err
	}
	known, err := readNotes(noted)
	if err != nil {
		return err
	}
	for _, n := range known.stale(all) {
		fmt.Printf("a note is about no flip any more: %s\n", n)
	}
	if only != "" {
		files := strings.Split(only, ",")
		all = slices.DeleteFunc(all, func(s site) bool { return !slices.Contains(files, s.file) })
	}
	base, err := readScripts("esm/testdata")
	if err != nil {
		return err
	}
	if n == 0 || n > len(all) {
		n = len(all)
	}
	if n < least && only == "" {
		return fmt.Errorf("%d flips prove too little: try at least %d", n, least)
	}
	fmt.Printf("%d flips are possible; %d are tried\n", len(all), n)
	if v, err := try(nil, base); err != nil || len(v.scenarios) > 0 || v.ended != "" {
		return fmt.Errorf("the scripts do not pass on the code as it is: %v %s %w", v.scenarios, v.ended, err)
	}
	verdicts := make([]verdict, n)
	next, done := make(chan int), 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				s := all[(from+i*len(all)/n)%len(all)]
				v, err := try(&s, base)
				if err != nil {
					v.ended = err.Error()
				}
				v.note = known.of(&s)
				mu.Lock()
				done++
				verdicts[i] = v
				fmt.Printf("%4d/%d %s: %s\n", done, n, s, v)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	report(base, verdicts, only == "")
	return nil
}

// verdict is what became of the scripts under a flip.
type verdict struct {
	scenarios []string // those that changed
	files     []string // scripts without a scenario that changed, or that ended early
	ended     string   // not empty: the flip did not compile
	note      string   // why no script can show it, if somebody has noted that
}

func (v verdict) String() string {
	switch {
	case v.ended != "":
		return "no program: " + v.ended
	case v.survived() && v.note != "":
		return "survived: " + v.note
	case v.survived():
		return "SURVIVED"
	}
	return strings.Join(append(v.scenarios, v.files...), " ")
}

func (v verdict) survived() bool { return len(v.scenarios) == 0 && len(v.files) == 0 }

// report prints what verdicts say; about scenarios only if flips are of the whole core.
func report(base scripts, verdicts []verdict, whole bool) {
	by := map[string]int{}
	survived, noted, programs := 0, 0, 0
	for _, v := range verdicts {
		if v.ended != "" {
			continue
		}
		programs++
		if v.survived() {
			survived++
			if v.note != "" {
				noted++
			}
		}
		for _, id := range v.scenarios {
			by[id]++
		}
	}
	var unproved []string
	for _, id := range base.all() {
		if by[id] == 0 {
			unproved = append(unproved, id)
		}
	}
	fmt.Printf("\n%d flips: %d change a script, %d survive all of them, %d of these for a reason that is noted\n", programs,
		programs-survived, survived, noted)
	if !whole {
		return
	}
	fmt.Printf("%d scenarios are named by scripts; unproved: %s\n", len(base.all()), strings.Join(unproved, " "))
}

// try builds the scripts over a flip, nil for none, and lets them rewrite a copy of themselves.
func try(s *site, base scripts) (v verdict, err error) {
	dir, err := os.MkdirTemp("", "spec-mutant-")
	if err != nil {
		return v, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", filepath.Join(dir, "esm.test")}
	if s != nil {
		overlay, err := s.overlay(dir)
		if err != nil {
			return v, err
		}
		args = append(args, "-overlay", overlay)
	}
	build := exec.Command("go", append(args, "./esm")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return v, fmt.Errorf("%s", short(string(out)))
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("esm/testdata")); err != nil {
		return v, err
	}
	if whole, _ := rewrite(dir, "TestScripts", patience); !whole { // one file ends the process for all: each by itself
		endless := 0
		for _, file := range slices.Sorted(maps.Keys(base)) {
			name := strings.TrimSuffix(file, filepath.Ext(file)) // as the test of the script is called
			begun := time.Now()
			if whole, out := rewrite(dir, "TestScripts/"+regexp.QuoteMeta(name), patienceOne); !whole {
				v.add(base, file, out)
			}
			if time.Since(begun) >= patienceOne {
				endless++
			}
			if endless == enough {
				break
			}
		}
	}
	now, err := readScripts(filepath.Join(dir, "testdata"))
	if err != nil {
		return v, err
	}
	v.scenarios = inOrder(append(v.scenarios, base.changed(now)...))
	for file, lines := range base {
		if !slices.Equal(lines, now[file]) && len(base.named(file, len(lines))) == 0 {
			v.files = append(v.files, file)
		}
	}
	return v, nil
}

// place matches where a script stopped.
var place = regexp.MustCompile(`(\w+\.txt):(\d+):`)

// add notes a script that ended early: by the line it gives, or else by its first scenario.
func (v *verdict) add(base scripts, file, out string) {
	line := 0
	if m := place.FindStringSubmatch(out); m != nil && m[1] == file {
		line, _ = strconv.Atoi(m[2])
	}
	for ; line < len(base[file]); line++ {
		if ids := base.named(file, line); len(ids) > 0 {
			v.scenarios = append(v.scenarios, ids...)
			return
		}
	}
	v.files = append(v.files, file)
}

// rewrite runs scripts that write what they see into themselves. It returns whether all ran to their end, and what was
// printed.
func rewrite(dir, pattern string, within time.Duration) (whole bool, out string) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	pattern = "^" + strings.ReplaceAll(pattern, "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "esm.test"), "-test.run", pattern, "-rewrite",
		"-test.timeout", (2 * within).String()) // should this process be ended first
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	return err == nil && !bytes.Contains(b, []byte("no tests to run")), string(b)
}

// overlay writes the changed file, without the core's own assertions, which would end a script before it shows
// anything, and returns the list for the compiler.
func (s *site) overlay(dir string) (string, error) {
	replace := map[string]string{}
	change := func(name string, edit func([]byte) []byte) error {
		path, err := filepath.Abs(filepath.Join("esm", name))
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		replace[path] = filepath.Join(dir, name)
		return os.WriteFile(replace[path], edit(text), 0o600)
	}
	if err := change(s.file, func(text []byte) []byte {
		return slices.Concat(text[:s.from], []byte(s.new), text[s.to:])
	}); err != nil {
		return "", err
	}
	if err := change("check.go", func(text []byte) []byte {
		return bytes.Replace(text, []byte("const assertions = true"), []byte("const assertions = false"), 1)
	}); err != nil {
		return "", err
	}
	list, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
