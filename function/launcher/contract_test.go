package launcher_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/function/launcher/launchertest"
)

// TestMain turns this binary into a Lambda runtime when a function's bootstrap starts it.
func TestMain(m *testing.M) {
	if os.Getenv("SHARDMILL_TEST_BOOTSTRAP") != "" {
		obey()
		return
	}
	os.Exit(m.Run())
}

// obey is a runtime in the shape that the Lambda Developer Guide gives for custom runtimes, with the code that
// launchertest expects of a package.
func obey() {
	_ = os.Unsetenv("SHARDMILL_TEST_BOOTSTRAP")
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			os.Exit(0)
		}
		event, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		path, body := "/response", event
		switch {
		case bytes.Contains(event, []byte("fail")):
			path, body = "/error", []byte(`{"errorType":"Boom","errorMessage":"as asked"}`)
		case bytes.Contains(event, []byte("environ")):
			body, _ = json.Marshal(os.Environ())
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if resp, err = http.Post(base+id+path, "application/json", bytes.NewReader(body)); err != nil {
			os.Exit(0)
		}
		_ = resp.Body.Close()
	}
}

const (
	pythonCode = `import os
class Boom(Exception): pass
def handler(event, context):
    if event["do"] == "fail": raise Boom("as asked")
    if event["do"] == "environ": return [k + "=" + v for k, v in os.environ.items()]
    return event
`
	nodejsCode = `class Boom extends Error { constructor(m) { super(m); this.name = "Boom"; } }
exports.handler = async (event) => {
  if (event.do === "fail") throw new Boom("as asked");
  if (event.do === "environ") return Object.entries(process.env).map(([k, v]) => k + "=" + v);
  return event;
};
`
)

// Every kind of runtime keeps the contract, over an interpreter of this machine and over a script that only answers the
// launcher's question.
func TestKindsKeepTheContract(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]launchertest.Kind{
		"provided": {
			Runtime: "provided.al2023", Handler: "any",
			Package: map[string]string{
				"bootstrap": "#!/bin/sh\nexport SHARDMILL_TEST_BOOTSTRAP=1\nexec '" + self + "'\n",
			},
		},
		"python": {
			Runtime: "python3.12", Program: "python3.12", Handler: "index.handler",
			Interpreter: whereIs(t, "python3", "-c", "import sys; print(sys.executable)"),
			Package:     map[string]string{"index.py": pythonCode},
			Broken:      map[string]string{"index.py": `raise Exception("broken on purpose")`},
		},
		"nodejs": {
			Runtime: "nodejs22.x", Program: "node", Handler: "index.handler",
			Interpreter: whereIs(t, "node", "-p", "process.execPath"),
			Package:     map[string]string{"index.js": nodejsCode},
			Broken:      map[string]string{"index.js": `throw new Error("broken on purpose")`},
		},
	}
	for name, version := range map[string]string{"python": "3.12.1", "nodejs": "22.1.0"} {
		k := kinds[name]
		k.Interpreter, k.Fake = script(t, version), true
		kinds["fake "+name] = k
	}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			launchertest.Run(t, k)
		})
	}
}

// whereIs returns the path of an interpreter, behind whatever shim a version manager has put before it.
func whereIs(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// script writes an executable that answers the probe as an interpreter of that version.
func script(t *testing.T, version string) string {
	t.Helper()
	path := t.TempDir() + "/interpreter"
	text := fmt.Sprintf("#!/bin/sh\necho '{\"path\": \"%s\", \"version\": \"%s\"}'\n", path, version)
	syscall.ForkLock.RLock() // a fork of another test would hold it open for writing, and it could not be executed
	err := os.WriteFile(path, []byte(text), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
