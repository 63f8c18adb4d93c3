package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// cores are the rooms that decide: pure machines that take events and the time and return what to do.
var cores = []string{"esm", "filter", "function/fleet"}

// coreMayImport lists what a core may import of the standard library. Anything else could bring a clock, I/O, chance or
// another goroutine; a package joins the list with its reason.
var coreMayImport = map[string]string{
	"bytes": "texts", "cmp": "order", "encoding/json": "responses of functions", "fmt": "texts for people",
	"math": "limits of numbers", "math/big": "hash key ranges", "math/rand/v2": "jitter, from a seed",
	"slices": "lists",
	"sort":   "search", "strings": "texts", "time": "durations and instants, as values",
	"container/heap": "order", "container/list": "lines", "errors": "values", "iter": "lists", "maps": "lists",
	"encoding/binary": "eight bytes at once", "net/netip": "addresses, as values", "unicode": "upper and lower case",
	"unicode/utf16": "escapes of JSON", "math/bits": "numbers", "strconv": "texts", "unicode/utf8": "texts",
}

// coreMayUse lists what a core may use of packages that hold more than values.
var coreMayUse = map[string][]string{
	"time": {
		"Time", "Duration", "Month", "UTC", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour",
	},
	"rand":  {"Rand", "New", "NewPCG"},
	"fmt":   {"Sprintf", "Sprint", "Errorf", "Appendf", "Append", "Stringer"},
	"netip": {"Prefix", "ParsePrefix", "ParseAddr"},
	"maps":  {"Clone", "Equal"}, // Keys and Values come in any order
}

// A core decides and performs no I/O. It imports nothing that could, uses only types and constants of package time,
// starts no goroutine and holds no channel.
func TestCoreTouchesNoClockNoChanceAndNoIO(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !slices.Contains(cores, f.room) || f.test {
			continue
		}
		for _, imp := range imports(f) {
			if _, ok := coreMayImport[imp]; !ok && !strings.HasPrefix(imp, module) {
				t.Errorf("%s imports %s, which the list of internal/arch does not allow a core", f.path, imp)
			}
		}
		for _, why := range impurities(f.ast) {
			t.Errorf("%s %s", f.path, why)
		}
	}
}

// impurities returns everything forbidden that a file of a core does.
func impurities(file *ast.File) (out []string) {
	packages := map[string]bool{} // by name in this file
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		name := strings.TrimSuffix(path, "/v2")
		name = name[strings.LastIndex(name, "/")+1:]
		if i.Name != nil && i.Name.Name != name {
			out = append(out, "imports "+path+" under another name")
		}
		packages[name] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, "starts a goroutine")
		case *ast.ChanType:
			out = append(out, "holds a channel")
		case *ast.SelectStmt:
			out = append(out, "waits for a channel")
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || pkg.Obj != nil || !packages[pkg.Name] { // Obj: a variable of the package's name
				return true
			}
			if may, ok := coreMayUse[pkg.Name]; ok && !slices.Contains(may, n.Sel.Name) {
				out = append(
					out, "uses "+pkg.Name+"."+n.Sel.Name+", which the list of internal/arch does not allow a core",
				)
			}
		}
		return true
	})
	return out
}

func TestImpuritiesAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`import "time"; var x time.Duration = time.Second`:                     false,
		`import "time"; func f(now time.Time) time.Time { return now.Add(1) }`: false,
		`import "time"; var x = time.Now()`:                                    true,
		`import "time"; var x = time.Unix(0, 0)`:                               true, // in the machine's time zone
		`import "time"; var now = time.Now`:                                    true, // taken, not called
		`import t "time"; var x = t.Now()`:                                     true,
		`import . "time"; var x = Now()`:                                       true,
		`import "math/rand/v2"; var x = rand.New(rand.NewPCG(1, 2))`:           false,
		`import "math/rand/v2"; var x = rand.IntN(2)`:                          true,
		`import "fmt"; func f() { fmt.Println() }`:                             true,
		`func f() { go f() }`:                                                  true,
		`var x chan int`:                                                       true,
		`func f() { select {} }`:                                               true,
		`func f(time struct{ Now int }) int { return time.Now }`:               false,
		`import "maps"; func f(m map[int]int) { for range maps.Keys(m) { } }`:  true,
	} {
		if got := len(impurities(parse(t, "package x; "+text))) > 0; got != want {
			t.Errorf("%s: impure %t, want %t", text, got, want)
		}
	}
}
