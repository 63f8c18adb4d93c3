package function_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A native module built for another platform fails in Node's words, and a hint says which, even if a library catches
// the error and throws its own.
func TestNodeNativeModulesNameWhatTheyWereBuiltFor(t *testing.T) {
	t.Parallel()
	elf := make([]byte, 64)
	copy(elf, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(elf[16:], 3)
	binary.LittleEndian.PutUint16(elf[18:], 0x15) // PowerPC
	old := shared(t, `
		struct node_module { int version; unsigned flags; void *dso; const char *file; void *reg; void *context; const char *name; void *priv; void *link; };
		extern void node_module_register(void *);
		static struct node_module m = { 93, 0, 0, "old.c", (void *)1, 0, "old", 0, 0 };
		__attribute__((constructor)) static void reg(void) { node_module_register(&m); }`)
	b := start(t)
	for name, c := range map[string]struct {
		content []byte
		source  string
		hint    string
	}{
		"windows": {
			[]byte("MZ" + strings.Repeat("\x00", 100)), `require("./x.node")`,
			"x.node was built for Windows, and this is linux ",
		},
		"macos": {
			[]byte("\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 100)), `require("./x.node")`,
			"x.node was built for macOS, and this is linux ",
		},
		"processor": {
			elf, `require("./x.node")`, "x.node was built for linux on another processor, and this is linux ",
		},
		"release": {old, `require("./x.node")`, "x.node was built for Node.js 16, and this is Node.js "},
		"junk": {
			[]byte("no module"), `require("./x.node")`,
			"x.node cannot be loaded as a native module. Install the package's dependencies for linux ",
		},
		"wrapped": {
			old, `try { require("./x.node") } catch { throw new Error("could not load the native part") }`,
			"x.node was built for Node.js 16, ",
		},
		"late": {old, `exports.handler = async () => require("./x.node")`, "x.node was built for Node.js 16, "},
		"library": {
			shared(t, "extern int gone(void); int f(void) { return gone(); }", "gone"), `require("./x.node")`,
			"x.node needs libgone.so, which is not on this system.",
		},
	} {
		b.nodejs(name, "", files(file{"index.js", c.source, 0o644}, file{"x.node", string(c.content), 0o644}))

		r := b.invoke(name, `{}`)

		nodeFailure(t, r)
		if _, hint, _ := strings.Cut(r.Hint, "/"); !strings.Contains(hint, c.hint) {
			t.Errorf("%s: hint %q, want %q; payload %s", name, r.Hint, c.hint, r.Payload)
		}
	}
}

// shared compiles C into a shared object, which needs the libraries named.
func shared(t *testing.T, source string, libraries ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	compile := func(out, source string, args ...string) {
		write(t, filepath.Join(dir, out+".c"), source)
		if b, err := exec.Command(
			"cc",
			append(
				[]string{"-shared", "-fPIC", "-o", filepath.Join(dir, out), filepath.Join(dir, out+".c"), "-L" + dir},
				args...,
			)...,
		).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	var args []string
	for _, name := range libraries {
		compile("lib"+name+".so", "int "+name+"(void) { return 1; }", "-Wl,-soname,lib"+name+".so")
		args = append(args, "-l"+name)
	}
	compile("x.node", source, args...)
	b, err := os.ReadFile(filepath.Join(dir, "x.node"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
