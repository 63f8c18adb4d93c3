package arch

import (
	"bytes"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cuts lists the places where slicing text by byte offset cuts no character, with the reason why. All other code uses
// fault.Clip (messages that a person reads), fault.Cut (text that is kept) or strings.Cut and the like.
var cuts = map[string][]string{
	"Go's parser says where an expression begins and ends": {
		"internal/mutants/spec/sites.go: f.text[f.set.Position(from).Offset:f.set.Position(to).Offset]",
	},
	"fault.Clip is made of it": {"fault/clip.go: s[:at]", "fault/clip.go: s[:most]"},
	"the bound is where an ASCII character was found, or the end of a run of them": {
		"api/front/head.go: b[:h.at]",
		"api/front/head.go: text[f.from:f.to]",
		"api/front/head.go: text[f.name:f.colon]",
		"api/front/head.go: text[h.method+1 : h.target]",
		"api/kinesis/answer_json.go: s[from:i]",
		"api/wire/router.go: text[:max(0, strings.LastIndexByte(text, '&'))]",
		"cmd/shardmill/putkey.go: s[:i]",
		"companion/logstore/catalogue.go: name[:max(cut, 0)]",
		"companion/logstore/pattern/json.go: p.rest[1:end]",
		"companion/logstore/pattern/json.go: p.rest[:end]",
		"companion/logstore/pattern/pattern.go: text[:end]",
		"companion/table/expr/lex.go: rest[:1]",
		"companion/table/expr/lex.go: rest[:2]",
		"companion/table/expr/lex.go: rest[:n]",
		"companion/table/expr/lex.go: s[:n]",
		"companion/table/expr/number.go: s[:at]",
		"companion/table/expr/parse.go: p.text[from:to]",
		"function/measure.go: line[:at]",
		"function/unzip.go: dir[:i]",
		"internal/bench/report.go: whole[:i]",
		"filter/scan.go: b[i : i+len(want)]",
		"filter/syntax.go: p.text[n.at:p.at]",
		"internal/doctest/shell.go: s.out.Bytes()[:loc[0]]",
		"internal/doctest/shell.go: s.out.Bytes()[loc[2]:loc[3]]",
		"stream/sequence.go: digits[:i]",
	},
	"what is taken off are brackets or quotes, which were seen": {
		"api/kinesis/rawjson.go: raw[1 : len(raw)-1]",
		"api/lambda/operations.go: want[1 : len(want)-1]",
		"stream/iterator.go: token[1 : len(token)-1]",
	},
	"only a name of ours, or a suffix that was seen": {
		"api/dynamodb/input.go: name[:1]",
		"api/iam/role_policies.go: path[:len(path)-len(name)]",
		"api/iam/validate.go: parameter[:1]",
		"api/sns/request.go: p[:1]",
		"filter/rule.go: want[:len(want)-wsize]", // a whole character
		"function/validate.go: s[:1]",            // compared with digits; the rest of the name is ASCII
		"companion/logstore/pattern/json.go: p.rest[:len(word)]",
	},
	"only digits, letters of an encoding, or what we put there": {
		"api/wire/wiretest/golden.go: rest[:n]",
		"companion/identity/identity.go: rand.Text()[:17]",
		"api/kinesis/rawjson.go: (fraction + \"000\")[:3]",
		"cmd/shardmill/load.go: r[:b.width-1]",
		"companion/table/expr/number.go: n.digits[:n.exponent]",
		"internal/bench/rawhttp.go: line[9:12]",
		"companion/identity/format.go: base32.StdEncoding.EncodeToString(sum[:])[:17]",
		"sim/format.go: payload[:len(envelope)]",
		"stream/sequence.go: hex[1:10]",
		"stream/sequence.go: hex[28:32]",
		"internal/jsontext/jsontext.go: b[i+1 : i+5]",
	},
	"what is cut off is compared byte by byte, and never shown": {
		"filter/rule.go: v.text[:len(t.text)]",
		"filter/rule.go: s[:len(first)]",
		"filter/rule.go: s[from : from+len(part)]",
	},
	"bytes of a request or an answer on their way, in pieces of any size": {
		"api/front/exchange.go: p[:min(int64(len(p)), b.left)]",
		"api/front/response.go: p[:min(len(p), sniffed)]",
		"api/front/response.go: p[:min(len(p), writePiece)]",
		"api/front/patient.go: b[:min(len(b), writePiece)]",
		"internal/nonblock/conn_linux.go: b[:min(len(b), maxCall)]",
	},
	"shown in hex": {"cmd/shardmill/tail.go: b[:hexBytes]"},
	"a binary format, whose lengths are written in it": {
		"api/kinesis/put_records.go: keys[:len(e.key)]",
		"api/wire/eventstream.go: m[:8]",
		"checkpoint/checkpoint.go: rest[:n]",
		"checkpoint/codec.go: d.b[:n]",
		"companion/logstore/frame.go: d.b[:n]",
		"companion/logstore/segment.go: head[:headerSize-1]",
		"companion/logstore/segment.go: magic[:headerSize-1]",
		"companion/queue/delete.go: b[:receiptBytes-4]",
		"companion/table/format.go: r.b[:n]",
		"internal/bench/retention.go: data[:retentionRecord]",
		"metric/bucket.go: src[:min(2, len(src))]",
		"metric/keys.go: v[:min(len(v), 20)]",
		"metric/read.go: key[:idLen]",
		"sim/format.go: b[:n]",
		"storage/internal/wake/wake.go: key[:n]",
		"storage/pebble/block.go: data[1:4]",
		"storage/pebble/block.go: data[:24]",
		"storage/pebble/mark.go: b[:4]",
		"storage/pebble/mark.go: b[:markSlot]",
		"storage/pebble/shard.go: b[1:4]",
		"storage/pebble/shard.go: b[:4]",
		"stream/token.go: b[1:size]",
		"stream/token.go: raw[len(tokenHeader) : len(tokenHeader)+tokenNonce]",
	},
}

// A text that is cut by bytes may end within a character and is then not UTF-8: JSON encoders replace the rest of the
// character, and clients see a text that was never written. So every s[a:b] of a string, every string(b[:n]) and every
// slice of bytes up to a constant or min(…) needs a reason.
func TestTextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	reason := map[string]string{}
	for why, places := range cuts {
		for _, p := range places {
			reason[p] = why
		}
	}
	seen := map[string]bool{}
	for _, p := range typed(t) {
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				if s := cut(p.info, s); s != nil {
					key := p.place(s)
					if seen[key] = true; reason[key] == "" {
						t.Errorf(
							"%s is sliced by bytes; use fault.Clip, fault.Cut or strings.Cut, or say in internal/arch why no character is cut",
							key,
						)
					}
				}
				return true
			})
		}
	}
	for key := range reason {
		if !seen[key] {
			t.Errorf("internal/arch gives a reason for %s, which is not there", key)
		}
	}
}

// The rule itself: what counts as a cut of text, and what does not.
func TestWhatCountsAsACutOfText(t *testing.T) {
	t.Parallel()
	const source = `package p
type text string
const most = 5
func f(s string, n int, t text, b, c []byte, list []string) {
	_, _, _ = s[:n], s[1:3], t[:most]                // cuts
	_, _, _ = string(b[:n]), b[:most], b[:min(n, 9)] // cuts
	_, _, _, _ = s[n:], b[n:], c[:0], c[:n]          // the rest of something, an empty one, bytes
	_, _ = list[:n], []rune(s)[:n]
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if _, err := (&types.Config{}).Check("p", fset, []*ast.File{f}, info); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if s := cut(info, e); s != nil {
				found[print(fset, s)] = true
			}
		}
		return true
	})
	for _, want := range []string{"s[:n]", "s[1:3]", "t[:most]", "b[:n]", "b[:most]", "b[:min(n, 9)]"} {
		if !found[want] {
			t.Errorf("%s is not taken for a cut of text", want)
		}
	}
	if len(found) != 6 {
		t.Errorf("taken for cuts of text: %v", found)
	}
}

// cut returns the slice expression in e that cuts text, or nil.
func cut(info *types.Info, e ast.Expr) *ast.SliceExpr {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 && info.Types[call.Fun].IsType() &&
		isString(info.Types[call.Fun].Type) {
		if s, ok := call.Args[0].(*ast.SliceExpr); ok && s.High != nil {
			return s
		}
	}
	s, ok := e.(*ast.SliceExpr)
	if !ok || s.High == nil {
		return nil
	}
	bound := info.Types[s.High].Value
	of := info.Types[s.X].Type
	switch {
	case isString(of):
		return s
	case !isBytes(of):
		return nil
	case bound != nil && constant.Compare(bound, token.GTR, constant.MakeInt64(0)):
		return s
	}
	if call, ok := s.High.(*ast.CallExpr); ok {
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "min" {
			return s
		}
	}
	return nil
}

func isString(t types.Type) bool {
	if p, ok := t.(*types.TypeParam); ok {
		t = p.Constraint()
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&types.IsString != 0
	case *types.Interface: // of a type parameter
		for e := range u.EmbeddedTypes() {
			if union, ok := e.(*types.Union); ok {
				for term := range union.Terms() {
					if isString(term.Type()) {
						return true
					}
				}
			}
		}
	}
	return false
}

func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	b, ok := s.Elem().Underlying().(*types.Basic)
	return ok && b.Kind() == types.Byte
}

// typedPackage is one of our packages with its types, as built on this system, without tests.
type typedPackage struct {
	base  string
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// place returns an expression in the form that the table above uses.
func (p typedPackage) place(s *ast.SliceExpr) string {
	path, err := filepath.Rel(p.base, p.fset.Position(s.Pos()).Filename)
	if err != nil {
		path = p.fset.Position(s.Pos()).Filename
	}
	return filepath.ToSlash(path) + ": " + print(p.fset, s)
}

func print(fset *token.FileSet, n ast.Node) string {
	var b bytes.Buffer
	_ = printer.Fprint(&b, fset, n) // a buffer takes everything
	return b.String()
}

// typed loads all our packages with types. Imports come from the build cache, which is filled if needed.
func typed(t *testing.T) []typedPackage {
	t.Helper()
	base, err := filepath.Abs(root(t))
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command(
		"go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{join .GoFiles \",\"}}",
		"./...",
	)
	list.Dir, list.Stderr = base, os.Stderr
	list.Env = append(os.Environ(), "CGO_ENABLED=0") // what is compiled for vet and the product serves here, too
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]string{}
	var ours [][]string
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		exported[fields[0]] = fields[1]
		if strings.HasPrefix(fields[0]+"/", module) && fields[3] != "" {
			ours = append(ours, fields)
		}
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exported[path])
	})
	var packages []typedPackage
	for _, o := range ours {
		p := typedPackage{base: base, fset: fset, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
		for name := range strings.SplitSeq(o[3], ",") {
			f, err := parser.ParseFile(fset, filepath.Join(o[2], name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, f)
		}
		if _, err := (&types.Config{Importer: from}).Check(o[0], fset, p.files, p.info); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if !slices.ContainsFunc(packages, func(p typedPackage) bool { return p.files[0].Name.Name == "esm" }) {
		t.Fatalf("%d packages, and esm is not among them", len(packages))
	}
	return packages
}
