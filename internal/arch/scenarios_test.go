package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	mappingPage     = "docs/compat/lambda-event-source-mapping.md"
	mappingScenario = 112 // the last one
)

// verdict is a row of the table of scenarios: number, verdict, tests.
var verdict = regexp.MustCompile(`(?m)^\| S-(\d+) \| ([^|]*) \| ([^|]*) \|$`)

// Every scenario of event source mappings has one row on the page of mappings, which says how we do it and names a test
// that exists; some test or script names the scenario in turn. Only what is absent has no test.
func TestEveryScenarioOfMappingsHasItsVerdict(t *testing.T) {
	t.Parallel()
	page := pages(t, "docs/compat")[mappingPage]
	have, named := map[string]bool{}, map[string]bool{}
	for _, f := range files(t) {
		if !f.test || f.room == "internal/arch" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(f.path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			have[name[1]] = true
		}
		nameScenarios(string(text), named)
	}
	scripts, err := filepath.Glob(filepath.Join(root(t), "esm", "testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		have[filepath.Base(path)] = true
		nameScenarios(string(text), named)
	}

	rows := map[int]int{}
	for _, row := range verdict.FindAllStringSubmatch(page, -1) {
		n, _ := strconv.Atoi(row[1]) // digits, by the expression
		rows[n]++
		how, _, _ := strings.Cut(row[2], ":")
		tests := append(testName.FindAllString(row[3], -1), script.FindAllString(row[3], -1)...)
		switch how {
		case "same", "differs":
			if len(tests) == 0 {
				t.Errorf("%s names no test for S-%02d", mappingPage, n)
			}
			if !named[number("S", row[1])] {
				t.Errorf("no test and no script names S-%02d, which %s holds for %s", n, mappingPage, how)
			}
		case "absent":
			if named[number("S", row[1])] {
				t.Errorf("%s calls S-%02d absent, and a test or script names it", mappingPage, n)
			}
		default:
			t.Errorf("%s says %q of S-%02d, which is neither same, differs nor absent", mappingPage, row[2], n)
		}
		for _, name := range tests {
			if !have[name] {
				t.Errorf("%s names %s for S-%02d, and there is no such test or script", mappingPage, name, n)
			}
		}
	}
	for n := 1; n <= mappingScenario; n++ {
		if rows[n] != 1 {
			t.Errorf("%s has %d rows for S-%02d", mappingPage, rows[n], n)
		}
	}
}

// kinesisScenarios says how many scenarios of streams there are, by their letter.
var kinesisScenarios = map[string]int{"W": 31, "D": 20, "O": 44, "R": 18, "P": 25, "L": 12, "F": 15, "K": 5}

const kinesisScenario = "docs/compat/scenarios/kinesis.md"

// streamRow is a row of the tables of scenarios of streams: number, what holds, evidence, tests.
var streamRow = regexp.MustCompile(`(?m)^\| ([DFKLOPRW])-(\d+) \|.*\| ([^|]*) \|$`)

// Every scenario of streams has one row, whose tests exist, and a file with one of these tests names the scenario in
// turn: letters stand for scenarios of other services elsewhere.
func TestEveryScenarioOfStreamsHasItsTest(t *testing.T) {
	t.Parallel()
	where := map[string][]map[string]bool{} // by the name of a test, the scenarios that its files name
	for _, f := range files(t) {
		if !f.test || f.room == "internal/arch" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(f.path)))
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		nameScenarios(string(text), named)
		for _, name := range regexp.MustCompile(`func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			where[name[1]] = append(where[name[1]], named)
		}
	}
	rows := map[string]int{}
	for _, row := range streamRow.FindAllStringSubmatch(pages(t, scenarioPages)[kinesisScenario], -1) {
		id := number(row[1], row[2])
		rows[id]++
		said := false
		for _, name := range testName.FindAllString(row[3], -1) {
			if where[name] == nil {
				t.Errorf("%s names %s for %s, and there is no such test", kinesisScenario, name, id)
			}
			for _, named := range where[name] {
				said = said || named[id]
			}
		}
		if !said {
			t.Errorf("no test that %s names for %s says that it is about %s", kinesisScenario, id, id)
		}
	}
	for letter, last := range kinesisScenarios {
		for n := 1; n <= last; n++ {
			if id := fmt.Sprintf("%s-%d", letter, n); rows[id] != 1 {
				t.Errorf("%s has %d rows for %s", kinesisScenario, rows[id], id)
			}
		}
	}
}

// nameScenarios notes the scenarios that a text names, spans included.
func nameScenarios(text string, named map[string]bool) {
	for _, m := range scenario.FindAllStringSubmatch(text, -1) {
		named[number(m[1], m[2])] = true
	}
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		from, _ := strconv.Atoi(m[2]) // digits, by the expression
		to, _ := strconv.Atoi(m[4])
		for n := from; n <= to; n++ {
			named[fmt.Sprintf("%s-%d", m[1], n)] = true
		}
	}
}
