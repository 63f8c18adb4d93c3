package function_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// confined starts Functions at level sandbox, unless this machine has not the level.
func confined(t *testing.T, change ...func(*function.Options)) (*bench, bool) {
	t.Helper()
	b := start(t, change...)
	level, why := b.Isolation()
	if level != "sandbox" {
		t.Log("this machine has no level sandbox:", why)
	}
	return b, level == "sandbox"
}

// Eight invocations at once that write and read one file meet only their own, two functions with one folder do not meet
// at all, and TMPDIR is not set.
func TestInvocationsDoNotMeetInTmp(t *testing.T) {
	t.Parallel()
	b, ok := confined(t)
	if !ok {
		return
	}
	const source = `
		import os, time
		def handler(event, context):
		    os.makedirs("/tmp/folder", exist_ok=True)
		    before = sorted(os.listdir("/tmp/folder"))
		    with open("/tmp/batch.json", "w") as f:
		        f.write(event)
		    time.sleep(0.2)
		    open("/tmp/folder/" + event, "w").close()
		    return [open("/tmp/batch.json").read(), before, "TMPDIR" in os.environ, os.getcwd()]
	`
	b.python("f", source)
	b.python("g", source)
	var callers sync.WaitGroup
	for _, caller := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		callers.Go(func() {
			want(t, b.invoke("f", quote(caller)), function.Success, `["`+caller+`", [], false, "/var/task"]`)
		})
	}
	callers.Wait()

	want(t, b.invoke("g", `"x"`), function.Success, `["x", [], false, "/var/task"]`)
}

// /tmp is as large as EphemeralStorage says, after an update as well; the data directory stays hidden where all around
// it shows.
func TestTmpIsAsLargeAsEphemeralStorage(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	b, ok := confined(t, func(o *function.Options) { o.Dir, o.Show = data, append(o.Show, filepath.Dir(data)) })
	if !ok {
		return
	}
	b.python("f", `
		import os
		def handler(event, context):
		    s = os.statvfs("/tmp")
		    return [s.f_blocks * s.f_frsize >> 20, os.listdir(event)]
	`)
	want(t, b.invoke("f", quote(data)), function.Success, `[512, []]`)

	if _, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
		Ref: ref("f"), EphemeralMB: number(1024),
	}); err != nil {
		t.Fatal(err)
	}
	b.settled("f")

	want(t, b.invoke("f", quote(data)), function.Success, `[1024, []]`)
}

// Literal paths below /var/task work in PYTHONPATH, NODE_OPTIONS and code, and stack traces show them.
func TestLiteralTaskRoot(t *testing.T) {
	t.Parallel()
	b, ok := confined(t)
	if !ok {
		return
	}
	b.create("python", function.CreateInput{
		Runtime: "python3.12", Handler: "index.handler", Timeout: number(10),
		Environment: map[string]string{"EXTRA": "/var/task/vendor/x.txt"},
		Zip: zipOf(
			file{
				"index.py", "import os\ndef handler(e, c):\n    return [open(os.environ['EXTRA']).read(), __file__]\n",
				0o644,
			},
			file{"vendor/x.txt", "x", 0o644},
		),
	})
	b.create("node", function.CreateInput{
		Runtime: "nodejs20.x", Handler: "index.handler", Timeout: number(10),
		Environment: map[string]string{"NODE_OPTIONS": "--require /var/task/first.cjs"},
		Zip: zipOf(
			file{"index.js", "exports.handler = async () => [globalThis.first, __filename]", 0o644},
			file{"first.cjs", "globalThis.first = 1", 0o644},
		),
	})

	want(t, b.invoke("python", `1`), function.Success, `["x", "/var/task/index.py"]`)
	want(t, b.invoke("node", `1`), function.Success, `[1,"/var/task/index.js"]`)
}

// With a private network two environments can listen on the same port, AWS_ENDPOINT_URL is answered, even if it has the
// port of the Runtime API, and nothing else of the machine can be reached. The server's listeners in it end with it.
func TestPrivateNetworkOfFunctions(t *testing.T) {
	t.Parallel()
	outside, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	probe, ok := confined(t)
	probe.Stop(t.Context())
	if !ok {
		return
	}
	for _, endpoint := range []string{"127.0.0.1:4566", "127.0.0.1:9001"} {
		answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("hello from " + r.Host))
		})
		var serving sync.WaitGroup
		b := start(t, func(o *function.Options) {
			o.Network, o.Endpoint = function.NetworkPrivate, func() string { return "http://" + endpoint }
			o.Serve = func(l net.Listener) { serving.Go(func() { _ = http.Serve(l, answers) }) }
		})
		b.python("f", `
			import os, socket, time, urllib.request
			s = socket.create_server(("127.0.0.1", 8080))
			def handler(event, context):
			    time.sleep(0.2)
			    try:
			        socket.create_connection(("127.0.0.1", event), 1)
			        reached = True
			    except OSError:
			        reached = False
			    return [urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"]).read().decode(), reached]
		`)
		_, port, _ := net.SplitHostPort(outside.Addr().String())
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { want(t, b.invoke("f", port), function.Success, `["hello from `+endpoint+`", false]`) })
		}
		both.Wait()
		b.Stop(t.Context())
		serving.Wait()
	}
}

// At level none the log says what is shared, and a hint names what a package might share.
func TestSharedThingsAreNamed(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	for source, hints := range map[string][]string{
		"def handler(e, c):\n    return 1\n": nil,
		"def handler(e, c):\n    open('/tmp/batch.json', 'w')\n    return 1\n": {
			"index.py names /tmp/",
		},
		"import socket\ns = socket.socket()\ndef handler(e, c):\n    return 1\n# s.bind(('127.0.0.1', 8080))": {
			"index.py listens on port 8080",
		},
	} {
		c := b.python("f", source)
		for _, hint := range []string{"names /tmp/", "listens on port"} {
			wanted := len(hints) > 0 && strings.Contains(hints[0], hint)
			if strings.Contains(c.Hint, hint) != wanted {
				t.Errorf("%q: hint %q", source, c.Hint)
			}
		}
		want(t, b.invoke("f", `1`), function.Success, `1`)
		if err := b.Delete(t.Context(), ref("f")); err != nil {
			t.Fatal(err)
		}
	}
	if line := b.log.find(t, "INIT_START").message; !strings.HasSuffix(
		line, "\tIsolation: none (/tmp, ports and the process list are shared with this machine)",
	) {
		t.Errorf("log begins with %q", line)
	}
}
