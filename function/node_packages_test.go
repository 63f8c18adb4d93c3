package function_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// A module that is installed on this machine and not in the package is missing in AWS's words, when the function is
// loaded as when it runs, and a hint says where it was found.
func TestNodeModulesOfTheMachineAreMissing(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	modules := filepath.Join(work, "node_modules")
	for _, name := range []string{"zod", "@own/lib"} {
		write(t, filepath.Join(modules, name, "index.js"), `module.exports = "found"`)
	}
	b := start(t, func(o *function.Options) { o.Work = work })
	for name, c := range map[string]struct{ file, source, module, kind, message string }{
		"required": {
			"index.js", `require("zod")`, "zod", "Runtime.ImportModuleError",
			"Error: Cannot find module 'zod'\nRequire stack:\n- ${root}/index.js\n- ${runtime}/index.mjs",
		},
		"subpath": {
			"index.js", `require("@own/lib/index.js")`, "@own/lib", "Runtime.ImportModuleError",
			"Error: Cannot find module '@own/lib/index.js'\nRequire stack:\n- ${root}/index.js\n- ${runtime}/index.mjs",
		},
		"imported": {
			"index.mjs", `import "zod"`, "zod", "Error", "Cannot find package 'zod' imported from ${root}/index.mjs",
		},
		"late": {
			"index.js", `exports.handler = async () => require("zod")`, "zod", "Error",
			"Cannot find module 'zod'\nRequire stack:\n- ${root}/index.js\n- ${runtime}/index.mjs",
		},
		"dynamic": {
			"index.js", `exports.handler = async () => import("zod")`, "zod", "Error",
			"Cannot find package 'zod' imported from ${root}/index.js",
		},
		"nowhere": {
			"index.js", `require("of-nobody")`, "", "Runtime.ImportModuleError",
			"Error: Cannot find module 'of-nobody'\nRequire stack:\n- ${root}/index.js\n- ${runtime}/index.mjs",
		},
	} {
		b.nodejs(name, "", files(file{c.file, c.source, 0o644}))

		r := b.invoke(name, `{}`)

		doc := nodeFailure(t, r)
		before, after, _ := strings.Cut(c.message, "${root}")
		if doc.ErrorType != c.kind || !strings.HasPrefix(doc.ErrorMessage, before) ||
			!strings.HasSuffix(doc.ErrorMessage, after[strings.LastIndex(after, "}")+1:]) {
			t.Errorf("%s: got %s %q", name, doc.ErrorType, doc.ErrorMessage)
		}
		hint := c.module + " is not part of the code package. It is installed in " + modules +
			", where AWS would not have it: add it to the package, or start shardmill with --host-packages."
		if c.module == "" {
			hint = ""
		}
		if r.Hint != hint {
			t.Errorf("%s: hint %q, want %q", name, r.Hint, hint)
		}
	}

	open := start(t, func(o *function.Options) { o.Work, o.HostPackages = work, true })
	open.nodejs("f", `const zod = require("zod"); exports.handler = async () => [zod, (await import("zod")).default]`)
	want(t, open.invoke("f", `{}`), function.Success, `["found","found"]`)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
