package launcher

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes files below a new directory; a value "-> target" makes a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The parts of a small SDK. The client needs the core, which needs tslib; it has a subpath, and an export for only one
// kind of module system.
const (
	clientManifest = `{"name": "@aws-sdk/client-thing", "version": "3.1.0", "dependencies": {"@smithy/core": "*"},
		"exports": {".": {"import": "./index.mjs", "require": "./index.js"}, "./sub": "./sub.js", "./package.json": "./package.json"}}`
	clientRequired = `module.exports = { client: "required " + require("@smithy/core") };`
	clientImported = `import core from "@smithy/core"; export const client = "imported " + core;`
	clientSub      = `module.exports = "sub";`
	coreManifest   = `{"name": "@smithy/core", "version": "1.0.0", "main": "index.js", "dependencies": {"tslib": "*"}}`
	core           = `module.exports = "core with " + require("tslib");`
	tslib          = `module.exports = "tslib";`
	thingCore      = "app/node_modules/@aws-sdk/client-thing/node_modules/@smithy/core/"
	anotherTslib   = `module.exports = "another tslib";`
	zod            = `module.exports = "zod";`
)

// layouts are the ways in which tools install packages, seen from the folder where shardmill is started.
var layouts = map[string]map[string]string{
	"flat": {
		"app/node_modules/@aws-sdk/client-thing/package.json": clientManifest,
		"app/node_modules/@aws-sdk/client-thing/index.js":     clientRequired,
		"app/node_modules/@aws-sdk/client-thing/index.mjs":    clientImported,
		"app/node_modules/@aws-sdk/client-thing/sub.js":       clientSub,
		"app/node_modules/@smithy/core/package.json":          coreManifest,
		"app/node_modules/@smithy/core/index.js":              core,
		"app/node_modules/tslib/index.js":                     tslib, "app/node_modules/zod/index.js": zod,
	},
	"hoisted": {
		"app/node_modules/zod/index.js":                   zod,
		"node_modules/@aws-sdk/client-thing/package.json": clientManifest,
		"node_modules/@aws-sdk/client-thing/index.js":     clientRequired,
		"node_modules/@aws-sdk/client-thing/index.mjs":    clientImported,
		"node_modules/@aws-sdk/client-thing/sub.js":       clientSub,
		"node_modules/@smithy/core/package.json":          coreManifest, "node_modules/@smithy/core/index.js": core,
		"node_modules/tslib/index.js": tslib,
	},
	"nested": {
		"app/node_modules/@aws-sdk/client-thing/package.json": clientManifest,
		"app/node_modules/@aws-sdk/client-thing/index.js":     clientRequired,
		"app/node_modules/@aws-sdk/client-thing/index.mjs":    clientImported,
		"app/node_modules/@aws-sdk/client-thing/sub.js":       clientSub,
		thingCore + "package.json":                            coreManifest,
		thingCore + "index.js":                                core,
		thingCore + "node_modules/tslib/i.js":                 tslib,
		thingCore + "node_modules/tslib/package.json":         `{"main": "i.js"}`,
		"app/node_modules/tslib/index.js":                     anotherTslib,
		"app/node_modules/zod/index.js":                       zod,
	},
	"linked": { // as by pnpm
		"app/node_modules/@aws-sdk/client-thing": "-> ../.pnpm/client@3/node_modules/@aws-sdk/client-thing",
		"app/node_modules/zod":                   "-> .pnpm/zod@3/node_modules/zod",
		"app/node_modules/.pnpm/client@3/node_modules/@aws-sdk/client-thing/package.json": clientManifest,
		"app/node_modules/.pnpm/client@3/node_modules/@aws-sdk/client-thing/index.js":     clientRequired,
		"app/node_modules/.pnpm/client@3/node_modules/@aws-sdk/client-thing/index.mjs":    clientImported,
		"app/node_modules/.pnpm/client@3/node_modules/@aws-sdk/client-thing/sub.js":       clientSub,
		"app/node_modules/.pnpm/client@3/node_modules/@smithy/core":                       "-> ../../../core@1/node_modules/@smithy/core",
		"app/node_modules/.pnpm/core@1/node_modules/@smithy/core/package.json":            coreManifest,
		"app/node_modules/.pnpm/core@1/node_modules/@smithy/core/index.js":                core,
		"app/node_modules/.pnpm/core@1/node_modules/tslib":                                "-> ../../tslib@2/node_modules/tslib",
		"app/node_modules/.pnpm/tslib@2/node_modules/tslib/index.js":                      tslib,
		"app/node_modules/.pnpm/zod@3/node_modules/zod/index.js":                          zod,
	},
}

// probeScript is a function that tries to load a module in every possible way. It prints what it got, or - if there is
// no such module.
const probeScript = `
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const common = require("./common.cjs");
const missing = (e) => { if (!["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"].includes(e.code)) throw e; return "-"; };
const text = (m) => m.client ?? m.default?.client ?? m.default ?? m;
const got = {};
for (const name of process.argv.slice(2)) {
  const ways = [];
  for (const f of [() => require(name), () => common.required(name)]) try { ways.push(text(f())); } catch (e) { ways.push(missing(e)); }
  for (const f of [() => import(name), () => common.imported(name)]) await f().then((m) => ways.push(text(m)), (e) => ways.push(missing(e)));
  got[name] = ways.join("|");
}
console.log(JSON.stringify(got));
`

const probeCommon = `exports.required = (name) => require(name); exports.imported = (name) => import(name);`

// runProbe starts node as a plan says, with probe.mjs of the code directory instead of the bootstrap.
func runProbe(t *testing.T, opt Options, code string, names ...string) map[string]string {
	t.Helper()
	return runProbeAs(t, opt, code, "limitImport", names...)
}

func runProbeAs(t *testing.T, opt Options, code, limit string, names ...string) map[string]string {
	t.Helper()
	opt.Dir = t.TempDir()
	p, err := New(opt).Plan(t.Context(), Request{Runtime: "nodejs20.x", Code: code, TaskRoot: code, MemoryMB: 512})
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(p.Args[1:])
	bootstrap := args[len(args)-1]
	// As the bootstrap does before it imports a handler.
	if err := os.WriteFile(
		bootstrap+".tmp",
		[]byte(
			`const s = process[Symbol.for("shardmill.surroundings")]; s.`+limit+`(); await import(`+quoted(
				filepath.Join(code, "probe.mjs"),
			)+`);`,
		),
		0o600,
	); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bootstrap+".tmp", bootstrap); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.Path, append(args, names...)...)
	// Node also searches folders of the system: this one everywhere, those of packages (/usr/share/nodejs) on Debian.
	home := tree(t, map[string]string{".node_modules/systemwide/index.js": `module.exports = "systemwide";`})
	cmd.Env = []string{"LAMBDA_TASK_ROOT=" + code, "HOME=" + home}
	for k, v := range p.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	got := map[string]string{}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return got
}

// In Node versions without synchronous hooks, hooks for import cost a thread. A function in CommonJS pays for it only
// when it calls import.
func TestFunctionInCommonJSImportsTheSDK(t *testing.T) {
	t.Parallel()
	dir := tree(t, layouts["flat"])
	code := tree(t, map[string]string{
		"probe.mjs": `import { createRequire } from "node:module"; createRequire(import.meta.url)("./handler.js");`,
		"handler.js": `const later = require("./later.js"); later("@aws-sdk/client-thing").then((m) => later("zod").catch((e) => console.log(JSON.stringify({ got: m.client, zod: e.code,
			stack: new Error().stack.includes("surroundings") ? "ours" : "clean" }))));`,
		"later.js": `if (new Error().stack.includes("surroundings")) throw new Error("in the stack"); module.exports = (name) => import(name);`,
	})

	got := runProbeAs(t, Options{Work: filepath.Join(dir, "app")}, code, "limitImportOnceUsed")

	if got["got"] != "imported core with tslib" || got["zod"] != "ERR_MODULE_NOT_FOUND" || got["stack"] != "clean" {
		t.Errorf("got %v", got)
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// What AWS bundles comes from where it is installed on this machine, whatever the layout; only it finds its own
// dependencies, and nothing else comes from outside the package.
func TestOnlyTheBundledSDKComesFromOutsideThePackage(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, layout)
			code := tree(t, map[string]string{
				"probe.mjs": probeScript, "common.cjs": probeCommon,
				"node_modules/own/index.js": `module.exports = "own";`,
			})

			got := runProbe(
				t, Options{Work: filepath.Join(dir, "app")}, code, "@aws-sdk/client-thing", "@aws-sdk/client-thing/sub",
				"own", "tslib", "zod", "@aws-sdk/client-nothing",
			)

			for module, want := range map[string]string{
				"@aws-sdk/client-thing":     "required core with tslib|required core with tslib|imported core with tslib|imported core with tslib",
				"@aws-sdk/client-thing/sub": "sub|sub|sub|sub", "own": "own|own|own|own", "tslib": "-|-|-|-",
				"zod": "-|-|-|-", "@aws-sdk/client-nothing": "-|-|-|-",
			} {
				if got[module] != want {
					t.Errorf("%s: got %s, want %s", module, got[module], want)
				}
			}
		})
	}
}

// Code unpacked inside a project sees neither the project's packages, which Node would find above it, nor those of the
// system.
func TestPackagesAboveTheCodeAreNotTheFunctions(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"node_modules/zod/index.js": zod, "data/code/probe.mjs": probeScript, "data/code/common.cjs": probeCommon,
		"data/code/node_modules/own/index.js": `module.exports = "own " + (() => { try { return require("zod"); } catch (e) { return e.code; } })();`,
	})

	got := runProbe(t, Options{Work: t.TempDir()}, filepath.Join(dir, "data", "code"), "zod", "own", "systemwide")

	if got["zod"] != "-|-|-|-" || got["systemwide"] != "-|-|-|-" ||
		!strings.HasPrefix(got["own"], "own MODULE_NOT_FOUND|") {
		t.Errorf("got %v", got)
	}
}

// With --host-packages everything installed here can be imported.
func TestHostPackagesLetsEverythingThrough(t *testing.T) {
	t.Parallel()
	dir := tree(t, layouts["flat"])
	code := tree(t, map[string]string{"probe.mjs": probeScript, "common.cjs": probeCommon})

	got := runProbe(
		t, Options{Work: filepath.Join(dir, "app"), HostPackages: true}, code, "zod", "tslib",
		"@aws-sdk/client-thing/sub",
	)

	for module, want := range map[string]string{
		"zod": "zod|zod|zod|zod", "tslib": "tslib|tslib|tslib|tslib", "@aws-sdk/client-thing/sub": "sub|sub|sub|sub",
	} {
		if got[module] != want {
			t.Errorf("%s: got %s, want %s", module, got[module], want)
		}
	}
}

// The plan names the directories that a confined process must see: those of the SDK and of everything it needs.
func TestPlanNamesTheDirectoriesOfTheSDK(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"flat": {"app/node_modules"}, "hoisted": {"node_modules"}, "nested": {"app/node_modules"},
		"linked": {"app/node_modules"},
	} {
		dir := tree(t, layouts[name])
		node := fake(t, t.TempDir()+"/bin/node", "20.1.0")

		p, err := plan(t, Options{Node: node, Work: filepath.Join(dir, "app")}, "nodejs20.x")
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Reads) != 2 || p.Reads[0] != filepath.Dir(node) || p.Reads[1] != filepath.Join(dir, want[0]) {
			t.Errorf("%s: %q", name, p.Reads)
		}
	}
}

// Packages installed or removed while shardmill runs count from the next environment on.
func TestSDKInstalledLaterIsFound(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"node_modules/zod/index.js": zod})
	l := New(Options{Dir: t.TempDir(), Work: dir})
	modules := []string{filepath.Join(dir, "node_modules")}
	before, err := l.sdk(bundledPackages(22), modules)
	if err != nil || len(before.reads) != 0 {
		t.Errorf("got %+v, %v", before, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "node_modules", "@aws-sdk", "client-thing"), 0o755); err != nil {
		t.Fatal(err)
	}

	s, err := l.sdk(bundledPackages(22), modules)

	if _, e := os.Stat(filepath.Join(l.opt.Dir, s.dir, "node_modules", "@aws-sdk", "client-thing")); err != nil ||
		s.dir == before.dir || e != nil {
		t.Errorf("got %+v, %v, %v", s, err, e)
	}
	if s, err := l.sdk(bundledPackages(16), modules); err != nil || len(s.reads) != 0 {
		t.Errorf("nodejs16.x brings version 2 of the SDK alone: got %+v, %v", s, err)
	}
}
