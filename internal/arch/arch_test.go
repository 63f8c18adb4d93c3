// Package arch holds the rules of the house as tests: which room may import which, one package comment per package,
// what the core may not touch.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/shardmill/shardmill/"

// Every room but the cores may import these, in addition to the standard library.
var everywhere = []string{"internal/arn", "internal/base64", "internal/ids", "internal/jsontext"}

// rooms is the import table: which of our packages a room may import, and its one reason to change. An unlisted room is
// forbidden; test files are exempt.
var rooms = map[string]struct {
	may []string
	why string
}{
	"record":               {nil, "the vocabulary"},
	"fault":                {nil, "the vocabulary"},
	"internal/base64":      {nil, "how fast data is encoded"},
	"internal/arn":         {nil, "the vocabulary"},
	"internal/ids":         {nil, "the vocabulary"},
	"internal/jsontext":    {nil, "which JSON means one thing only"},
	"internal/kpl":         {[]string{"record"}, "how the KPL packs user records into one"},
	"internal/policy":      {[]string{"fault"}, "how policies of resources are read and decide"},
	"internal/tags":        {[]string{"fault"}, "what tags of resources have in common"},
	"internal/clock":       {nil, "the vocabulary"},
	"internal/crashpoint":  {nil, "where a test build may die"},
	"internal/cert":        {nil, "by which certificate a server is known"},
	"internal/image":       {nil, "what is in a container"},
	"internal/image/write": {[]string{"internal/image"}, "make image"},
	"internal/durable":     {nil, "how files survive a crash"},
	"internal/ram":         {nil, "how much memory there is"},
	"internal/nonblock":    {nil, "how sockets are read and written in Go's runtime"},
	"internal/arch":        {nil, "these rules"},
	"esm":                  {[]string{"record", "fault"}, "the policy AWS documents"},
	"filter":               {[]string{"fault", "internal/jsontext"}, "which records AWS's filter patterns match"},
	"storage":              {[]string{"record", "fault", "internal/clock"}, "how bytes are kept"},
	"storage/memory": {
		[]string{"record", "fault", "internal/clock", "internal/ram", "storage", "storage/internal/*"}, "one backend",
	},
	"storage/pebble": {
		[]string{"record", "fault", "internal/clock", "storage", "storage/internal/*"}, "one backend",
	},
	"storage/internal/wake": {[]string{"record", "storage"}, "how sleepers are woken"},
	"storage/storagetest":   {[]string{"record", "fault", "internal/clock", "storage"}, "how backends are judged"},
	"stream": {
		[]string{"record", "fault", "storage", "metric", "internal/clock", "internal/policy"}, "stream semantics",
	},
	"stream/streamtest": {[]string{"record", "stream"}, "what other rooms' tests need of streams"},
	"source":            {[]string{"record", "fault", "storage", "stream"}, "a kind of source"},
	"source/sourcetest": {
		[]string{
			"record", "fault", "storage", "storage/storagetest", "source", "stream", "stream/streamtest",
			"internal/clock", "internal/eventually",
		},
		"how a source and what stands for it are judged",
	},
	"function": {
		[]string{
			"fault", "storage", "metric", "internal/clock", "internal/durable", "internal/nonblock", "internal/tags",
			"function/*",
		},
		"how code is held, started, confined, spoken to",
	},
	"function/fleet": {[]string{"fault"}, "which invocations are admitted, in which environment and when"},
	"function/functiontest": {
		[]string{"function", "internal/eventually"}, "how the room and what stands for it are judged",
	},
	"function/launcher": {[]string{"fault", "storage", "internal/clock"}, "what to start for a runtime"},
	"function/launcher/launchertest": {
		[]string{"function/launcher", "function/runtimeapi", "internal/eventually"}, "how kinds of runtimes are judged",
	},
	"function/sandbox": {[]string{"fault", "storage", "internal/clock"}, "how it is confined"},
	"function/runtimeapi": {
		[]string{"fault", "storage", "internal/clock", "internal/nonblock"}, "the Runtime API",
	},
	"companion/door":    {nil, "when a companion lets operations in"},
	"companion/message": {nil, "what messages of queues and topics may carry"},
	"companion/queue": {
		[]string{
			"fault", "storage", "internal/clock", "internal/policy", "internal/tags", "companion/door",
			"companion/message",
		},
		"a queue's semantics",
	},
	"companion/table": {
		[]string{"fault", "storage", "internal/clock", "internal/policy", "companion/door", "companion/table/*"},
		"a table's semantics",
	},
	"companion/table/expr": {[]string{"fault"}, "DynamoDB's expression language"},
	"companion/bucket": {
		[]string{"fault", "storage", "internal/clock", "internal/durable", "internal/policy", "companion/door"},
		"an object's semantics",
	},
	"companion/topic": {
		[]string{
			"fault", "storage", "metric", "internal/clock", "internal/policy", "companion/door", "companion/message",
		},
		"a topic's semantics",
	},
	"companion/identity":         {[]string{"fault", "storage", "internal/clock"}, "how roles and policies are kept"},
	"companion/logstore":         {[]string{"fault", "storage", "internal/clock"}, "how log events are kept"},
	"companion/logstore/pattern": {[]string{"fault"}, "the syntax of filter patterns"},
	"metric":                     {[]string{"record", "fault", "storage", "internal/clock"}, "what is measured"},
	"destination":                {[]string{"record", "fault", "esm"}, "a kind of destination"},
	"destination/destinationtest": {
		[]string{
			"companion/bucket", "companion/queue", "companion/topic", "destination", "fault", "storage",
			"storage/storagetest", "internal/eventually",
		},
		"how a destination and what stands for it are judged",
	},
	"checkpoint": {[]string{"record", "fault", "storage", "esm"}, "how progress is kept"},
	"mapping": {
		[]string{"record", "fault", "esm", "filter", "storage", "internal/clock", "internal/tags"},
		"what may be configured",
	},
	"mapping/mappingtest": {[]string{"fault", "mapping"}, "how what a mapping is given is judged"},
	"engine": {
		[]string{
			"record", "fault", "storage", "esm", "filter", "mapping", "source", "function", "destination", "checkpoint",
			"metric", "internal/clock", "internal/crashpoint",
		},
		"concurrency and ownership",
	},
	"engine/enginetest": {[]string{"record", "storage", "engine"}, "what other rooms' tests need of the engine"},
	"api/wire": {
		[]string{"record", "fault", "internal/clock", "internal/policy", "internal/sigv4"},
		"what services have in common on the wire",
	},
	"api/front":         {[]string{"internal/nonblock"}, "which requests are plain, and how they are read and answered"},
	"api/wire/wiretest": {[]string{"fault", "api/wire", "auth"}, "what tests of the shared port need"},
	"api/control": {
		[]string{
			"record", "fault", "internal/clock", "api/wire", "engine", "esm", "function", "mapping", "metric", "stream",
			"companion/logstore",
		},
		"our own API",
	},
	"api/kinesis": {[]string{"record", "fault", "internal/clock", "api/wire", "stream"}, "AWS's wire"},
	"api/lambda": {
		[]string{
			"record", "fault", "internal/clock", "internal/policy", "internal/tags", "api/wire", "function", "mapping",
		},
		"AWS's wire",
	},
	"api/cloudwatch": {[]string{"record", "fault", "internal/clock", "api/wire", "metric"}, "AWS's wire"},
	"api/sns": {
		[]string{"record", "fault", "internal/clock", "api/wire", "companion/topic"}, "AWS's wire",
	},
	"api/sqs": {[]string{"record", "fault", "internal/clock", "api/wire", "companion/queue"}, "AWS's wire"},
	"api/dynamodb": {
		[]string{"record", "fault", "internal/clock", "api/wire", "companion/table", "companion/table/expr"},
		"AWS's wire",
	},
	"api/logs": {
		[]string{"record", "fault", "internal/clock", "api/wire", "companion/logstore", "companion/logstore/pattern"},
		"AWS's wire",
	},
	"api/iam": {
		[]string{"record", "fault", "internal/clock", "api/wire", "companion/identity"}, "AWS's wire",
	},
	"api/s3": {
		[]string{
			"record", "fault", "internal/clock", "internal/policy", "internal/sigv4", "api/wire", "companion/bucket",
		},
		"AWS's wire",
	},
	"api/sts":               {[]string{"record", "fault", "internal/clock", "api/wire"}, "AWS's wire"},
	"internal/bench":        {[]string{"*"}, "how fast we are, beside the physical limit"},
	"internal/mutants":      {nil, "whether a test would notice"},
	"internal/mutants/spec": {[]string{"fault"}, "what the scripts of the core prove"},
	"internal/eventually":   {nil, "how tests wait"},
	"internal/fuzzall":      {nil, "how fuzz targets are run"},
	"internal/doctest":      {nil, "how documents are run"},
	"proxy": {
		[]string{"fault", "api/wire", "proxy/*", "internal/sigv4"},
		"how another server serves what functions and destinations call",
	},
	"internal/sigv4":  {[]string{"fault"}, "how requests are signed, and signatures verified"},
	"proxy/translate": {nil, "where requests and answers hold names"},
	"auth":            {nil, "which keys there are, and what each may do"},
	"seed":            {[]string{"record", "fault"}, "what a seed file may say"},
	"server":          {[]string{"*"}, "wiring"},
	"cmd/shardmill":   {[]string{"*"}, "the command line"},
	"sim":             {[]string{"*"}, "how we judge; imported by tests only"},
	"sim/book":        {[]string{"record"}, "what became of every record"},
	"sim/simshell":    {[]string{"*"}, "how we judge the shell; imported by tests only"},
	"e2e":             {[]string{"*"}, "how we judge; imported by tests only"},
}

type file struct {
	path string // from the module root
	room string
	test bool
	ast  *ast.File
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "..", "..")
}

// files returns every Go file of the module, read once for all tests: they look, and change nothing.
func files(t *testing.T) []file {
	t.Helper()
	out, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d Go files; looking in the wrong place", len(out))
	}
	return out
}

var parsed = sync.OnceValues(func() (out []file, err error) {
	base, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != base &&
			(strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		out = append(out, file{
			filepath.ToSlash(rel), filepath.ToSlash(filepath.Dir(rel)), strings.HasSuffix(name, "_test.go"), f,
		})
		return nil
	})
	return out, err
})

func imports(f file) []string {
	var out []string
	for _, i := range f.ast.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

func allowed(room, target string) bool {
	if !slices.Contains(cores, room) && slices.Contains(everywhere, target) {
		return true
	}
	for _, m := range rooms[room].may {
		if m == "*" || m == target || strings.HasSuffix(m, "/*") &&
			strings.HasPrefix(target, strings.TrimSuffix(m, "*")) {
			return true
		}
	}
	return false
}

// judges reports whether a room is a simulator or a part of one.
func judges(room string) bool { return room == "sim" || strings.HasPrefix(room, "sim/") }

func TestRoomsImportOnlyWhatTheTableAllows(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test {
			continue
		}
		if _, ok := rooms[f.room]; !ok {
			t.Errorf(
				"%s: the room %s is not in the table of internal/arch; give it a row with its one reason to change",
				f.path, f.room,
			)
			continue
		}
		for _, imp := range imports(f) {
			target, ours := strings.CutPrefix(imp, module)
			if ours && !allowed(f.room, target) {
				t.Errorf(
					"%s imports %s, which the table of internal/arch does not allow for %s (%s)", f.path, target,
					f.room, rooms[f.room].why,
				)
			}
			forTests := judges(target) || target == "e2e" || strings.HasSuffix(target, "test")
			if ours && forTests && !judges(f.room) && f.room != "e2e" && !strings.HasSuffix(f.room, "test") {
				t.Errorf("%s imports %s, which only tests may", f.path, target)
			}
		}
	}
}

func TestEveryRowOfTheTableIsARoomThatExists(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, f := range files(t) {
		have[f.room] = true
	}
	for room := range rooms {
		if !have[room] {
			t.Errorf("the table of internal/arch lists %s, which has no Go files", room)
		}
	}
}

func TestEveryPackageHasExactlyOnePackageComment(t *testing.T) {
	t.Parallel()
	comments := map[string][]string{}
	for _, f := range files(t) {
		key := f.room
		if f.test && (strings.HasSuffix(f.ast.Name.Name, "_test") || f.room != "internal/arch" && f.room != "e2e") {
			continue
		}
		if _, ok := comments[key]; !ok {
			comments[key] = nil
		}
		if f.ast.Doc != nil && len(f.ast.Doc.Text()) > 0 {
			comments[key] = append(comments[key], f.path)
		}
	}
	for room, paths := range comments {
		if len(paths) != 1 {
			t.Errorf(
				"package %s has %d package comments (%s); it needs exactly one", room, len(paths),
				strings.Join(paths, ", "),
			)
		}
	}
}

// A test seeds its own generators, so that a run that fails fails again. Where a room draws at random, tests that
// depend on it supply the values (mapping.Options.NewUUID).
func TestTestsSeedTheirChance(t *testing.T) {
	t.Parallel()
	own := []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8"}
	for _, f := range files(t) {
		if !f.test && !judges(f.room) && !strings.HasSuffix(f.room, "test") {
			continue
		}
		for _, imp := range imports(f) {
			// which draws a marker that no output contains
			if (imp == "crypto/rand" || imp == "math/rand") && f.room != "internal/doctest" {
				t.Errorf("%s imports %s; use a seeded generator of math/rand/v2", f.path, imp)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "rand" &&
					slices.Contains(imports(f), "math/rand/v2") && !slices.Contains(own, s.Sel.Name) {
					t.Errorf("%s draws rand.%s from a generator that is not seeded", f.path, s.Sel.Name)
				}
			}
			return true
		})
	}
	for _, f := range files(t) {
		if f.test && f.room == "engine" {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if c, ok := n.(*ast.CompositeLit); ok && name(c.Type) == "Options" {
					if s, ok := c.Type.(*ast.SelectorExpr); ok && name(s.X) == "mapping" &&
						!slices.ContainsFunc(c.Elts, func(e ast.Expr) bool {
							kv, ok := e.(*ast.KeyValueExpr)
							return ok && name(kv.Key) == "NewUUID"
						}) {
						t.Errorf("%s makes mappings with random UUIDs, by which jitter is seeded", f.path)
					}
				}
				return true
			})
		}
	}
}

// parse returns the syntax of a text.
func parse(t *testing.T, text string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
