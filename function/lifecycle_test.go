package function_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage/memory"
)

const counter = `
	import os, time
	n = -1
	def handler(event, context):
	    global n
	    n += 1
	    if isinstance(event, (int, float)):
	        time.sleep(event)
	    return n
`

// F-37: an invocation that runs out of time ends then, with AWS's document.
func TestTimeoutEndsTheInvocation(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", counter, func(in *function.CreateInput) { in.Timeout = number(1) })

	r := b.invoke("f", `5`, func(i *function.Invocation) { i.RequestID, i.Tail = "id-1", true })

	want(
		t, r, function.FunctionError,
		`{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id-1 Error: Task timed out after 1.00 seconds"}`,
	)
	if r.Reason != "Sandbox.Timedout" {
		t.Errorf("reason %s", r.Reason)
	}
	if took := r.Duration; took < time.Second || took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	if log := string(r.LogTail); !strings.Contains(log, " id-1 Task timed out after 1.00 seconds\n") ||
		!strings.Contains(log, "Status: timeout") {
		t.Errorf("log %q", log)
	}
}

// A handler that its caller has left has its time and no more: it is ended then, and its place is free again.
func TestTimeoutEndsWhatItsCallerHasLeft(t *testing.T) {
	t.Parallel()
	b, dir := start(t, unconfined), t.TempDir()
	b.python("f", `
		import time
		def handler(event, context):
		    open(event + "/started", "w").close()
		    time.sleep(600)
	`, func(in *function.CreateInput) { in.Timeout = number(1) })
	ctx, leave := context.WithCancel(t.Context())
	result := make(chan function.Result, 1)
	go func() {
		result <- b.Invoke(ctx, function.Invocation{Ref: ref("f"), RequestID: "id", Payload: []byte(quote(dir))})
	}()
	waitForFile(t, filepath.Join(dir, "started"))

	leave()

	if r := <-result; r.Reason != function.ReasonAbandoned {
		t.Fatalf("got %+v", r)
	}
	eventually.Holds(t, "the end of the handler", func() bool { return b.Busy() == 0 })
}

// F-38: after a timeout /tmp is as it was, globals are new.
func TestTemporaryFilesOutliveATimeout(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import os, time
		seen = "no"
		path = "/tmp/file"
		def handler(event, context):
		    global seen
		    if event == "write":
		        open(path, "w").write("kept")
		        seen = "yes"
		        time.sleep(60)
		    return [open(path).read(), seen]
	`, func(in *function.CreateInput) { in.Timeout = number(1) })
	b.invoke("f", `"write"`)

	r := b.invoke("f", `"read"`)

	want(t, r, function.Success, `["kept", "no"]`)
}

// F-39: a process that exits in the middle is an error of the function, in AWS's words, and the next invocation works.
func TestExitIsAFunctionError(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import os, signal
		def handler(event, context):
		    if event == "segv":
		        os.kill(os.getpid(), signal.SIGSEGV)
		    if event is not None:
		        os._exit(event)
		    return "alive"
	`)
	for _, c := range []struct{ event, message string }{
		{"0", "Runtime exited without providing a reason"},
		{"3", "Runtime exited with error: exit status 3"},
		{`"segv"`, "Runtime exited with error: signal: segmentation fault"},
	} {
		r := b.invoke("f", c.event, func(i *function.Invocation) { i.RequestID = "id" })

		want(
			t, r, function.FunctionError,
			`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: `+c.message+`"}`,
		)
		want(t, b.invoke("f", `null`), function.Success, `"alive"`)
	}
}

// F-40: a function beyond its memory is killed within a second.
func TestMemoryLimitIsHeld(t *testing.T) {
	t.Parallel()
	if function.MemoryWatch() == "off" {
		t.Log("this system gives no memory reading; the limit is told, not held")
		return
	}
	b := start(t)
	b.python("f", `
		import time
		def handler(event, context):
		    hog = bytearray(400 * 1024 * 1024)
		    hog[::4096] = b"x" * len(hog[::4096])
		    time.sleep(30)
	`, func(in *function.CreateInput) { in.MemoryMB, in.Timeout = number(128), number(60) })

	r := b.invoke("f", `{}`, func(i *function.Invocation) { i.RequestID = "id" })

	want(
		t, r, function.FunctionError,
		`{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: id Error: Runtime exited with error: signal: killed"}`,
	)
	if r.Duration > 10*time.Second {
		t.Errorf("took %v", r.Duration)
	}
}

// F-41: an answer beyond the limit fails its invocation, not its environment; 6 MiB pass.
func TestOversizeAnswerKeepsTheEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		n = 0
		def handler(event, context):
		    global n
		    n += 1
		    return "x" * event if event else n
	`)
	r := b.invoke("f", strconv.Itoa(7<<20))
	want(
		t, r, function.FunctionError,
		`{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`,
	)

	want(t, b.invoke("f", `0`), function.Success, `2`)
	if r := b.invoke("f", strconv.Itoa(6<<20)); r.Class != function.Success || len(r.Payload) != 6<<20+2 {
		t.Errorf("6 MiB: %v, %d bytes", r.Class, len(r.Payload))
	}
}

// F-56: nothing of an environment outlives a timeout, not even a child in a session of its own that ignores SIGTERM.
func TestNoProcessOutlivesATimeout(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", `
		import os, subprocess, time
		def handler(event, context):
		    child = ["/bin/sh", "-c", "trap '' TERM; touch %s/$$; while :; do sleep 600; done" % event]
		    subprocess.Popen(child)
		    subprocess.Popen(child, start_new_session=True)
		    while len(os.listdir(event)) < 2:
		        time.sleep(0.01)
		    time.sleep(600)
	`, func(in *function.CreateInput) { in.Timeout = number(2) })
	dir := t.TempDir()

	r := b.invoke("f", quote(dir))

	if r.Reason != "Sandbox.Timedout" {
		t.Fatalf("got %+v", r)
	}
	children, err := os.ReadDir(dir)
	if err != nil || len(children) != 2 {
		t.Fatalf("%d children: %v", len(children), err)
	}
	for _, c := range children {
		eventually.Holds(t, "the end of process "+c.Name(), func() bool { return !processRuns(c.Name()) })
	}
}

// processRuns reports a process that is neither gone nor a zombie.
func processRuns(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(after, []byte(" Z"))
}

// After three failed init phases in a row starts pause, and callers get the last failure at once.
func TestFailingInitPhasesPause(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "exit-in-init")
	failure := `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 7"}`
	for range 3 {
		want(
			t, b.invoke("f", `1`, func(i *function.Invocation) { i.RequestID = "id" }), function.FunctionError, failure,
		)
	}
	want(t, b.invoke("f", `1`, func(i *function.Invocation) { i.RequestID = "id" }), function.FunctionError, failure)

	b.Stop(t.Context()) // flushes the log
	if n := countEvents(b, "INIT_START"); n != 3 {
		t.Errorf("%d starts were tried; the last should have been spared", n)
	}
}

// An invocation that meets the pause takes no room: on a full machine another function would be refused.
func TestPauseTakesNoRoom(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.MaxEnvironments = 1 })
	b.provided("bad", "exit-in-init")
	b.provided("good", "echo")
	for range 4 { // the last one meets the pause
		if r := b.invoke("bad", `1`); r.Class != function.FunctionError {
			t.Fatalf("%+v", r)
		}
	}

	want(t, b.invoke("good", `1`), function.Success, `1`)
}

func countEvents(b *bench, prefix string) int {
	n := 0
	for _, e := range b.log.all() {
		if strings.HasPrefix(e.message, prefix) {
			n++
		}
	}
	return n
}

// New code serves from Successful on; a changed configuration starts new environments.
func TestUpdateReplacesEnvironments(t *testing.T) {
	t.Parallel()
	b := start(t)
	first := b.python("f", counter)
	want(t, b.invoke("f", `null`), function.Success, `0`)
	changed := b.Changed(ref("f"))

	c, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
		Ref: ref("f"), MemoryMB: number(512),
	})

	if err != nil || c.State != function.Active || c.UpdateStatus != function.InProgress ||
		c.RevisionID == first.RevisionID {
		t.Fatalf("got %+v, %v", c, err)
	}
	<-changed
	if done := b.settled("f"); done.UpdateStatus != function.Successful || done.MemoryMB != 512 ||
		done.RevisionID == c.RevisionID || done.UpdateReason != "" {
		t.Errorf("got %+v", done)
	}
	want(t, b.invoke("f", `null`), function.Success, `0`)

	zip := zipOf(file{"index.py", "def handler(e, c):\n    return 'new'\n", 0o644})
	if _, err := b.UpdateCode(t.Context(), function.UpdateCodeInput{Ref: ref("f"), Zip: zip}); err != nil {
		t.Fatal(err)
	}
	b.settled("f")
	want(t, b.invoke("f", `null`), function.Success, `"new"`)
	eventually.Holds(t, "the old package gone", func() bool { // it goes with the last process that runs it
		_, err := b.Package(first.CodeSHA256)
		return err != nil
	})
}

// An invocation may come while the function is Pending: it waits for Active.
func TestInvokeWaitsForActive(t *testing.T) {
	t.Parallel()
	b := start(t)
	_, err := b.Create(t.Context(), function.CreateInput{
		Name: "f", Caller: function.Caller{Account: testAccount, Region: testRegion}, Role: testRole,
		Runtime: "provided.al2023", Handler: "x", Zip: zipOf(file{"bootstrap", bootstrapScript(t, "echo"), 0o755}),
	})
	if err != nil {
		t.Fatal(err)
	}

	want(t, b.invoke("f", `1`), function.Success, `1`)
}

// Functions, their reservations and their code survive a restart; unused packages do not.
func TestFunctionsSurviveARestart(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	before := b.provided("f", "echo")
	if err := b.PutConcurrency(t.Context(), ref("f"), 5); err != nil {
		t.Fatal(err)
	}
	b.Stop(t.Context())
	stray := filepath.Join(dir, "code", strings.Repeat("0", 64)+".zip")
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}

	again := start(t, same)

	after, ok := again.Lookup(ref("f"))
	if !ok || after.RevisionID != before.RevisionID || after.Reserved == nil || *after.Reserved != 5 {
		t.Fatalf("got %+v", after)
	}
	want(t, again.invoke("f", `7`), function.Success, `7`)
	if _, err := os.Stat(stray); err == nil {
		t.Error("a package without a function was kept")
	}
}

// A function that could not run is looked at again at the next start.
func TestFailedFunctionGetsAnotherChance(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	b := start(t, func(o *function.Options) { o.Store, o.Dir, o.Python = store, dir, "/nowhere/python3" })
	if c := b.python("f", counter); c.State != function.Failed {
		t.Fatalf("got %+v", c)
	}
	b.Stop(t.Context())

	again := start(t, func(o *function.Options) { o.Store, o.Dir = store, dir })

	c := again.settled("f") // looking for the interpreter may take longer than an invocation waits for it
	want(t, again.invoke("f", `null`), function.Success, `0`)
	if c.State != function.Active || c.StateReason != "" {
		t.Errorf("got %+v", c)
	}
}

// Stop cuts off what still runs when its time is over; what that did is unknown, so it is not an error of the function.
// Twice is harmless.
func TestStopCutsOffAndTellsSo(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", `
		import time
		def handler(event, context):
		    open(event + "/started", "w").close()
		    time.sleep(600)
	`, func(in *function.CreateInput) { in.Timeout = number(900) })
	dir := t.TempDir()
	result := make(chan function.Result, 1)
	go func() { result <- b.invoke("f", quote(dir)) }()
	waitForFile(t, filepath.Join(dir, "started"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	b.Stop(ctx)
	b.Stop(ctx)

	if r := <-result; r.Class != function.PlatformError || r.Reason != "Stopping" {
		t.Errorf("got %+v", r)
	}
	if r := b.invoke("f", `1`); r.Class != function.PlatformError {
		t.Errorf("after Stop: %+v", r)
	}
}

// F-33: LogTail holds the lines of this invocation, at most 4,096 bytes of them.
func TestLogTailHoldsThisInvocation(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		def handler(event, context):
		    for i in range(event):
		        print("line", i)
	`)

	r := b.invoke("f", `3`, tail, func(i *function.Invocation) { i.RequestID = "id-1" })

	lines := strings.Split(string(r.LogTail), "\n")
	if len(lines) != 7 || lines[0] != "START RequestId: id-1 Version: $LATEST" || lines[1] != "line 0" ||
		lines[4] != "END RequestId: id-1" ||
		!strings.HasPrefix(lines[5], "REPORT RequestId: id-1\tDuration: ") || !strings.Contains(
		lines[5], " MB\tInit Duration: ",
	) {
		t.Errorf("tail %q", lines)
	}
	r = b.invoke("f", `1000`, tail)
	if len(r.LogTail) != 4096 || !strings.Contains(string(r.LogTail), "line 999\nEND") ||
		strings.Contains(string(r.LogTail), "Init Duration") {
		t.Errorf("%d bytes: %q", len(r.LogTail), r.LogTail)
	}
	var kinds []string
	b.log.find(t, "END RequestId: id-1")
	for _, e := range b.log.all() {
		if e.group != "/aws/lambda/f" || !strings.Contains(e.stream, "/[$LATEST]") {
			t.Fatalf("event in %s %s", e.group, e.stream)
		}
		kind, _, _ := strings.Cut(e.message, " ")
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if strings.Join(kinds[:4], " ") != "INIT_START START line END" {
		t.Errorf("events %q", kinds)
	}
}

// For a function that does not exist or cannot run, a retry is pointless.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.Python = "/nowhere/python3" })
	c := b.python("f", counter)
	if c.State != function.Failed || c.StateCode != "InvalidRuntime" ||
		!strings.Contains(c.StateReason, "--python /nowhere/python3") {
		t.Errorf("got %+v", c)
	}

	if r := b.invoke("f", `1`); r.Class != function.ConfigError || r.Reason != "InvalidRuntime" || r.StatusCode != 502 {
		t.Errorf("got %+v", r)
	}
	if r := b.invoke("nobody", `1`); r.Class != function.ConfigError || r.Reason != function.ReasonNotFound ||
		r.StatusCode != 404 {
		t.Errorf("got %+v", r)
	}
}

func waitForFile(t *testing.T, path string) {
	t.Helper()
	eventually.Holds(t, path, func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// A refused package must not remove another function's code.
func TestRefusedPackageHarmsNobody(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo")
	in := function.CreateInput{
		Name: "g", Caller: caller, Role: testRole, Runtime: "provided.al2023", Handler: "x",
		Zip: zipOf(file{"../x", "", 0o644}),
	}

	if _, err := b.Create(t.Context(), in); err == nil {
		t.Fatal("accepted")
	}

	want(t, b.invoke("f", `1`), function.Success, `1`)
	b.provided("h", "echo")
}
