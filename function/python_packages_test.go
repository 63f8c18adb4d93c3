package function_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// installed is a Python with its own packages, made quickly: a virtual environment is a link and a file that says where
// the rest is.
type installed struct {
	t      testing.TB
	python string
	site   string // its site-packages
	native string // a module of machine code, _bisect, that it can load from everywhere
}

func virtualenv(t testing.TB) *installed {
	t.Helper()
	out, err := exec.Command(realPython(), "-I", "-c", `import os, sys, sysconfig, _bisect
print(os.path.realpath(sys.executable), "python%d.%d" % sys.version_info[:2], getattr(_bisect, "__file__", ""), sep="\n")`).Output()
	found := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(found) < 2 {
		t.Fatalf("ask %s: %v %q", realPython(), err, out)
	}
	dir := t.TempDir()
	i := &installed{
		t: t, python: filepath.Join(dir, "bin", "python"), site: filepath.Join(dir, "lib", found[1], "site-packages"),
	}
	if len(found) == 3 {
		i.native = found[2]
	}
	i.write(
		filepath.Join(dir, "pyvenv.cfg"), "home = "+filepath.Dir(found[0])+"\ninclude-system-site-packages = false\n",
	)
	i.write(filepath.Join(i.site, "here"), "")
	if err := os.MkdirAll(filepath.Dir(i.python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(found[0], i.python); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *installed) write(path, text string) {
	i.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		i.t.Fatal(err)
	}
}

// distribution installs name into dir with its requirements, and its files recorded as by pip.
func (i *installed) distribution(dir, name string, requires []string, files ...string) {
	meta := filepath.Join(dir, strings.ReplaceAll(name, "-", "_")+"-1.0.dist-info")
	text := "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"
	for _, r := range requires {
		text += "Requires-Dist: " + r + "\n"
	}
	i.write(filepath.Join(meta, "METADATA"), text)
	record := ""
	for _, f := range files {
		i.write(filepath.Join(dir, f), "where = __file__\n")
		record += f + ",,\n"
	}
	i.write(filepath.Join(meta, "RECORD"), record)
}

// sdk installs a stand-in for the SDK and its closure, in all forms that distributions have, and packages that do not
// belong to it.
func (i *installed) sdk(dir string) {
	i.distribution(
		dir, "boto3", []string{"botocore<2", `dev-tool; extra == "dev"`}, "boto3/__init__.py", "boto3/session.py",
	)
	i.distribution(
		dir, "botocore", []string{"python_dateutil (>=2)", "jmespath ; python_version >= \"3\"", "part-of-shared"},
		"botocore/__init__.py", "botocore/vendored/__init__.py",
	)
	i.distribution(dir, "python-dateutil", []string{"six>=1.5"}, "dateutil/__init__.py")
	i.distribution(dir, "six", nil, "six.py")
	i.distribution(dir, "jmespath", nil, "jmespath/__init__.py")
	i.distribution(dir, "part-of-shared", nil, "shared/part/__init__.py")
	i.distribution(dir, "other-of-shared", nil, "shared/other/__init__.py")
	i.distribution(dir, "requests", nil, "requests/__init__.py")
	i.distribution(dir, "dev-tool", nil, "dev_tool.py")
	if i.native != "" {
		content, err := os.ReadFile(i.native)
		if err != nil {
			i.t.Fatal(err)
		}
		i.write(filepath.Join(dir, "botocore", filepath.Base(i.native)), string(content))
	}
}

const importer = `
	import importlib, importlib.metadata
	def handler(event, context):
	    if event.startswith("version of "):
	        return importlib.metadata.version(event[11:])
	    return importlib.import_module(event).__file__
`

// Only what AWS bundles comes from outside the package: boto3 and botocore with all that they require by their
// metadata, however it is installed; parts and modules of machine code included. Everything else cannot be imported, as
// on AWS.
func TestOnlyWhatAWSBundlesComesFromOutsideThePackage(t *testing.T) {
	t.Parallel()
	for what, layout := range map[string]func(*installed) string{
		"virtual environment": func(i *installed) string { i.sdk(i.site); return i.site },
		".pth file": func(i *installed) string {
			dir := i.t.TempDir()
			i.sdk(dir)
			i.write(filepath.Join(i.site, "more.pth"), dir+"\n")
			return dir
		},
		"Debian's dist-packages": func(i *installed) string { // its packages keep no list of their files
			dir := filepath.Join(i.t.TempDir(), "dist-packages")
			i.sdk(dir)
			for _, name := range []string{"boto3", "botocore", "python_dateutil", "six", "jmespath", "part_of_shared"} {
				meta := filepath.Join(dir, name+"-1.0.dist-info")
				if err := os.Rename(filepath.Join(meta, "METADATA"), filepath.Join(meta, "PKG-INFO")); err != nil {
					i.t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(meta, "RECORD")); err != nil {
					i.t.Fatal(err)
				}
				if err := os.Rename(meta, filepath.Join(dir, name+"-1.0.egg-info")); err != nil {
					i.t.Fatal(err)
				}
				requires := map[string]string{
					"boto3":    "botocore<2\n\n[dev]\ndev-tool\n",
					"botocore": "jmespath\npython-dateutil\npart-of-shared\n", "python_dateutil": "six\n",
				}[name]
				top := map[string]string{"python_dateutil": "dateutil", "part_of_shared": "shared.part"}[name]
				if top == "" {
					top = name
				}
				i.write(filepath.Join(dir, name+"-1.0.egg-info", "requires.txt"), requires)
				i.write(filepath.Join(dir, name+"-1.0.egg-info", "top_level.txt"), top+"\n")
			}
			i.write(filepath.Join(i.site, "debian.pth"), dir+"\n")
			return dir
		},
		// a finder that a .pth file installs knows where the package is
		"editable install": func(i *installed) string {
			i.sdk(i.site)
			source := filepath.Join(i.t.TempDir(), "src", "boto3")
			if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
				i.t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(i.site, "boto3"), source); err != nil {
				i.t.Fatal(err)
			}
			i.write(filepath.Join(i.site, "boto3-1.0.dist-info", "top_level.txt"), "boto3\n")
			i.write(
				filepath.Join(i.site, "boto3-1.0.dist-info", "RECORD"),
				"__editable__boto3.pth,,\n__editable___boto3_finder.py,,\n",
			)
			i.write(filepath.Join(i.site, "__editable__boto3.pth"), "import __editable___boto3_finder\n")
			i.write(filepath.Join(i.site, "__editable___boto3_finder.py"), fmt.Sprintf(`
import importlib.util, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "boto3":
            return importlib.util.spec_from_file_location(name, %q, submodule_search_locations=[%q])
sys.meta_path.append(Finder)
`, source+"/__init__.py", source))
			return filepath.Dir(filepath.Dir(source))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			i := virtualenv(t)
			dir := layout(i)
			b := start(t, func(o *function.Options) { o.Python = i.python })
			b.python("f", importer)
			may := []string{"boto3.session", "botocore.vendored", "dateutil", "six", "jmespath", "shared.part"}
			if i.native != "" {
				may = append(may, "botocore._bisect")
			}
			for _, name := range may {
				if r := b.invoke("f", quote(name)); r.Class != function.Success || name == "boto3.session" &&
					!strings.HasPrefix(string(r.Payload), `"`+dir) {
					t.Errorf("import %s: %s, want one below %s", name, r.Payload, dir)
				}
			}
			want(t, b.invoke("f", `"version of boto3"`), function.Success, `"1.0"`)
			for _, name := range []string{
				"requests", "shared.other", "dev_tool", "pip", "__editable___boto3_finder", "version of requests",
			} {
				if r := b.invoke("f", quote(name)); r.Class != function.FunctionError {
					t.Errorf("%s: got %v %s", name, r.Class, r.Payload)
				}
			}
		})
	}
}

// The document of a missing module is AWS's to the letter; a hint says where on this machine it is, once in the log.
// --host-packages lets it through.
func TestMissingModuleIsTracedToTheMachine(t *testing.T) {
	t.Parallel()
	i := virtualenv(t)
	i.sdk(i.site)
	b := start(t, func(o *function.Options) { o.Python = i.python })
	b.python("f", "import requests")
	b.python("late", "def handler(event, context):\n    import requests.sessions\n")
	place := "requests is not in the code package. It is installed on this machine (" +
		filepath.Join(i.site, "requests") + "/__init__.py)"

	for name, message := range map[string]string{
		"f": "Unable to import module 'index': No module named 'requests'", "late": "No module named 'requests'",
	} {
		r := b.invoke(name, `{}`)

		var doc struct{ ErrorMessage string }
		if err := json.Unmarshal(r.Payload, &doc); err != nil || doc.ErrorMessage != message {
			t.Errorf("%s: got %s", name, r.Payload)
		}
		if !strings.HasPrefix(r.Hint, place) || !strings.Contains(r.Hint, "--host-packages") {
			t.Errorf("%s: hint %q, want %q", name, r.Hint, place)
		}
	}
	open := start(t, func(o *function.Options) { o.Python, o.HostPackages = i.python, true })
	open.python("f", importer)
	for _, name := range []string{"requests", "boto3", "shared.other"} {
		if r := open.invoke("f", quote(name)); r.Class != function.Success {
			t.Errorf("with --host-packages: import %s: %s", name, r.Payload)
		}
	}
}

// For a bundled module that this machine lacks a hint gives the command that installs it, and the next environment
// finds it without a restart of the server.
func TestBundledModuleThatIsNotInstalledHasItsCommand(t *testing.T) {
	t.Parallel()
	i := virtualenv(t)
	b := start(t, func(o *function.Options) { o.Python = i.python })
	b.python("f", "import dateutil.tz\ndef handler(event, context):\n    return 1\n")

	r := b.invoke("f", `{}`)

	if !strings.Contains(
		r.Hint,
		"dateutil, which AWS bundles with python3.12, is not installed for "+i.python+". Install it with: "+i.python+
			" -m pip install python-dateutil",
	) {
		t.Errorf("got %s, hint %q", r.Payload, r.Hint)
	}
	i.sdk(i.site)
	i.write(filepath.Join(i.site, "dateutil", "tz.py"), "")
	want(t, b.invoke("f", `{}`), function.Success, `1`)
}

// A package's own copies go before those of this machine, and a packaged virtual environment counts as plain files.
func TestPackagesOwnCopiesGoFirst(t *testing.T) {
	t.Parallel()
	i := virtualenv(t)
	i.sdk(i.site)
	b := start(t, func(o *function.Options) { o.Python = i.python })
	b.python("f", importer, func(in *function.CreateInput) {
		in.Zip = zipOf(
			file{"index.py", dedent(importer), 0o644}, file{"boto3/__init__.py", "", 0o644}, file{"six.py", "", 0o644},
			file{"more.pth", "venv/lib/site-packages\n", 0o644},
			file{"venv/lib/site-packages/requests/__init__.py", "", 0o644},
			file{"shared/own/__init__.py", "", 0o644},
		)
	})
	for name, end := range map[string]string{
		// .pth files of a package count, as on AWS
		"boto3": "/boto3/__init__.py", "six": "/six.py", "requests": "/venv/lib/site-packages/requests/__init__.py",
		"shared.own": "/shared/own/__init__.py", "shared.part": "/shared/part/__init__.py",
	} {
		r := b.invoke("f", quote(name))

		if ours := strings.Contains(string(r.Payload), i.site); r.Class != function.Success ||
			!strings.HasSuffix(string(r.Payload), end+`"`) || ours != (name == "shared.part") {
			t.Errorf("import %s: %s, want %s of the package", name, r.Payload, end)
		}
	}
	if r := b.invoke("f", `"boto3.session"`); r.Class != function.FunctionError {
		t.Errorf("a module of another copy: %s", r.Payload)
	}
}

// Nothing of ours is in the function's name space: its own modules may have any name, and awslambdaric is like AWS's.
func TestNothingOfOursIsInTheNameSpaceOfFunctions(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", "", func(in *function.CreateInput) {
		in.Handler = "bootstrap.handler"
		var files []file
		for _, name := range []string{
			"survey", "surroundings", "clock", "packages", "causes", "endpoint", "lambda_context", "_shardmill",
			"shardmill", "runtime_client",
		} {
			files = append(files, file{name + ".py", "mine = True\n", 0o644})
		}
		in.Zip = zipOf(append(files, file{"awslambdaric/__init__.py", "", 0o644}, file{"bootstrap.py", dedent(`
			import sys
			loaded = sorted({m.partition(".")[0] for m in sys.modules} - set(sys.stdlib_module_names))
			import survey, surroundings, clock, packages, causes, endpoint, lambda_context, _shardmill, shardmill, runtime_client
			from awslambdaric.lambda_context import LambdaContext
			from awslambdaric.bootstrap import handle_event_request
			def handler(event, context):
			    import bootstrap
			    assert bootstrap.handler is handler and runtime_client.mine
			    return [loaded, type(context) is LambdaContext, sys.path[0] == __file__.rpartition("/")[0], len(sys.argv)]
		`), 0o644})...)
	})

	want(t, b.invoke("f", `{}`), function.Success, `[["__main__", "awslambdaric", "bootstrap"], true, true, 1]`)
}

// Tools find the runtime as they do on AWS, and what they put in place of its entry points is called. Source:
// sentry_sdk, get_lambda_bootstrap and AwsLambdaIntegration.
func TestToolsPatchTheRuntime(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import sys
		calls = []
		main = sys.modules["__main__"]
		runtime = sys.modules.get("bootstrap") or (main.awslambdaricmain.bootstrap if hasattr(main, "awslambdaricmain") else main)
		handle = runtime.handle_event_request
		def patched(client, request_handler, *args, **kwargs):
		    calls.append("handle")
		    def wrapped(event, context, *more):
		        calls.append("wrapped")
		        return request_handler(event, context, *more)
		    return handle(client, wrapped, *args, **kwargs)
		runtime.handle_event_request = patched
		def noting(name):
		    post = getattr(runtime.LambdaRuntimeClient, name)
		    def noted(*args, **kwargs):
		        calls.append(name)
		        return post(*args, **kwargs)
		    setattr(runtime.LambdaRuntimeClient, name, noted)
		noting("post_invocation_result")
		noting("post_invocation_error")
		def handler(event, context):
		    if event:
		        raise ValueError(event)
		    return calls
	`)

	b.invoke("f", `"fail"`)

	want(
		t, b.invoke("f", `null`), function.Success,
		`["handle", "wrapped", "post_invocation_error", "handle", "wrapped"]`,
	)
}

// What runs between an answer and the request for the next event is part of the invocation, as on AWS: its lines come
// before END and REPORT. Tools work there, and objects end there.
func TestWhatFollowsAnAnswerIsPartOfItsInvocation(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"a tool around the answer": `
			post = runtime.LambdaRuntimeClient.post_invocation_result
			def late(*args):
			    post(*args)
			    work()
			runtime.LambdaRuntimeClient.post_invocation_result = late
		`,
		"a tool around the answer of one client": `
			def handler(event, context):
			    client = next(o for o in gc.get_objects() if type(o) is runtime.LambdaRuntimeClient)
			    post = client.post_invocation_result
			    def late(*args):
			        post(*args)
			        work()
			    client.post_invocation_result = late
		`,
		"a tool around the handling": `
			handle = runtime.handle_event_request
			def late(*args):
			    handle(*args)
			    work()
			runtime.handle_event_request = late
		`,
		"a tool before the next event": `
			wait = runtime.LambdaRuntimeClient.wait_next_invocation
			def late(*args):
			    if asked: work()
			    asked.append(1)
			    return wait(*args)
			asked = []
			runtime.LambdaRuntimeClient.wait_next_invocation = late
		`,
		"the end of a response": `
			class Response(dict):
			    def __del__(self): work()
			def handler(event, context): return Response()
		`,
		"the end of a context": `
			def handler(event, context): weakref.finalize(context, work)
		`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			b.python("f", dedent(`
				import gc, sys, time, weakref
				runtime = sys.modules["__main__"].awslambdaricmain.bootstrap
				def work():
				    time.sleep(.02)
				    print("worked")
				def handler(event, context): pass
			`)+dedent(code))
			if log := string(b.invoke("f", `{}`, tail).LogTail); !strings.Contains(log, "worked\nEND ") {
				t.Errorf("log %q", log)
			}
		})
	}
}

// A module of machine code that this interpreter or machine cannot load is named with what it was built for, beside
// AWS's document.
func TestForeignMachineCodeIsNamed(t *testing.T) {
	t.Parallel()
	b := start(t)
	elf := func(machine byte) string {
		return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00" + string([]byte{machine, 0}) +
			strings.Repeat("\x00", 100)
	}
	suffix := func() string {
		out, err := exec.Command(
			realPython(), "-c", "import importlib.machinery; print(importlib.machinery.EXTENSION_SUFFIXES[0])",
		).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}()
	foreign := "aarch64"
	code := elf(183)
	if out, _ := exec.Command("uname", "-m").Output(); strings.TrimSpace(string(out)) == "aarch64" {
		foreign, code = "x86_64", elf(62)
	}
	for i, c := range []struct {
		what    string
		files   []file
		message string // begins so
		hint    string
	}{
		{
			"another minor version, a module of a package",
			[]file{
				{"pydantic_core/__init__.py", "from ._pydantic_core import SchemaValidator\n", 0o644},
				{"pydantic_core/_pydantic_core.cpython-399-x86_64-linux-gnu.so", "", 0o755},
				{"index.py", "import pydantic_core\n", 0o644},
			},
			"Unable to import module 'index': No module named 'pydantic_core._pydantic_core'",
			"pydantic_core/_pydantic_core.cpython-399-x86_64-linux-gnu.so is built for CPython 3.99 on x86_64-linux-gnu. This function runs on CPython 3.",
		},
		{
			"another minor version, a name of a package",
			[]file{
				{"PIL/__init__.py", "", 0o644},
				{"PIL/_imaging.cpython-399-x86_64-linux-gnu.so", "", 0o755},
				{"index.py", "from PIL import _imaging\n", 0o644},
			},
			"Unable to import module 'index': cannot import name '_imaging' from 'PIL'",
			"PIL/_imaging.cpython-399-x86_64-linux-gnu.so is built for CPython 3.99",
		},
		{
			"another system, at the top",
			[]file{{"_cffi_backend.cp312-win_amd64.pyd", "", 0o755}, {"index.py", "import _cffi_backend\n", 0o644}},
			"Unable to import module 'index': No module named '_cffi_backend'",
			"_cffi_backend.cp312-win_amd64.pyd is built for CPython 3.12 on Windows",
		},
		{
			"hidden behind the package's own error",
			[]file{
				{
					"numpy/__init__.py",
					"try:\n    from . import _core\nexcept ImportError as e:\n    raise ImportError('you should not') from e\n",
					0o644,
				},
				{"numpy/_core/__init__.py", "from . import _umath\nimport numpy._core._umath\n", 0o644},
				{"numpy/_core/_umath.cpython-399-darwin.so", "", 0o755},
				{"index.py", "import numpy\n", 0o644},
			},
			"Unable to import module 'index': you should not",
			"numpy/_core/_umath.cpython-399-darwin.so is built for CPython 3.99 on darwin",
		},
		{
			"another processor",
			[]file{{"fast" + suffix, code, 0o755}, {"index.py", "import fast\n", 0o644}},
			"Unable to import module 'index': ",
			"fast" + suffix + " is built for Linux on " + foreign,
		},
		{
			"another system under a name that fits",
			[]file{
				{"fast.abi3.so", "\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 64), 0o755},
				{"index.py", "def handler(event, context):\n    import fast\n", 0o644},
			},
			"",
			"fast.abi3.so is built for macOS",
		},
		{
			"a library that is loaded by hand",
			[]file{
				{"libx.so", code, 0o755},
				{
					"index.py",
					"import ctypes, os\ndef handler(event, context):\n    ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libx.so'))\n",
					0o644,
				},
			},
			"",
			"libx.so is built for Linux on " + foreign,
		},
	} {
		name := fmt.Sprint("f", i)
		b.python(name, "", func(in *function.CreateInput) { in.Zip = zipOf(c.files...) })

		r := b.invoke(name, `{}`)

		var doc struct{ ErrorMessage string }
		if err := json.Unmarshal(r.Payload, &doc); err != nil || !strings.HasPrefix(doc.ErrorMessage, c.message) ||
			!strings.Contains(r.Hint, c.hint) {
			t.Errorf("%s: got %s, hint %q; want %q, hint %q", c.what, r.Payload, r.Hint, c.message, c.hint)
		}
	}
}
