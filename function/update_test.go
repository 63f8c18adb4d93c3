package function_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// F-5: memory, timeout and environment take effect with the next invocation, in a new environment; the invocation under
// way ends in the old one. REPORT lines show the memory that was in force.
func TestUpdateReachesTheNextEnvironment(t *testing.T) {
	t.Parallel()
	python := `
		import os, pathlib, time
		n = 0
		def handler(event, context):
		    global n
		    n += 1
		    left = context.get_remaining_time_in_millis()
		    if event:
		        pathlib.Path(event, "began").touch()
		        while not os.path.exists(event + "/go"):
		            time.sleep(0.005)
		    return [n, context.memory_limit_in_mb, os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], os.environ.get("TABLE"), 10000 < left <= 20000, context.aws_request_id]
	`
	nodejs := `
		const fs = require("fs");
		let n = 0;
		exports.handler = async (event, context) => {
		  n++;
		  const left = context.getRemainingTimeInMillis();
		  if (event) {
		    fs.writeFileSync(event + "/began", "");
		    while (!fs.existsSync(event + "/go")) await new Promise((done) => setTimeout(done, 5));
		  }
		  const table = process.env.TABLE ?? null;
		  return [n, context.memoryLimitInMB, process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE, table, 10000 < left && left <= 20000, context.awsRequestId];
		};
	`
	for _, c := range []struct {
		language string
		make     func(*bench, string, string, ...func(*function.CreateInput)) *function.Configuration
		source   string
	}{{"python", (*bench).python, python}, {"nodejs", (*bench).nodejs, nodejs}} {
		t.Run(c.language, func(t *testing.T) {
			t.Parallel()
			b := start(t, unconfined)
			b.t = t
			before := c.make(b, "f", c.source)
			answers := func(r function.Result, payload string) {
				t.Helper()
				want(t, r, function.Success, strings.ReplaceAll(payload, ",", separator(c.language)))
			}
			as := func(id string) func(*function.Invocation) {
				return func(i *function.Invocation) { i.RequestID = id }
			}
			answers(b.invoke("f", `null`, as("warm")), `[1,"256","256",null,false,"warm"]`)
			dir := t.TempDir()
			flight := make(chan function.Result, 1)
			go func() { flight <- b.invoke("f", quote(dir), as("flight")) }()
			waitForFile(t, filepath.Join(dir, "began"))
			in := function.UpdateConfigurationInput{
				Ref: ref("f"), MemoryMB: number(512), Timeout: number(20),
				Environment: map[string]string{"TABLE": "orders"},
			}

			during, err := b.UpdateConfiguration(t.Context(), in)

			if err != nil || during.State != function.Active || during.UpdateStatus != function.InProgress ||
				during.MemoryMB != 512 || during.RevisionID == before.RevisionID {
				t.Fatalf("got %+v, %v", during, err)
			}
			if after := b.settled("f"); after.UpdateStatus != function.Successful ||
				after.RevisionID == during.RevisionID || after.UpdateReason != "" {
				t.Errorf("got %+v", after)
			}
			answers(b.invoke("f", `null`, as("next")), `[1,"512","512","orders",true,"next"]`)
			answers(b.invoke("f", `null`, as("again")), `[2,"512","512","orders",true,"again"]`)
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			answers(<-flight, `[2,"256","256",null,false,"flight"]`)
			for id, memory := range map[string]string{"warm": "256", "flight": "256", "next": "512", "again": "512"} {
				if line := b.log.find(t, "REPORT RequestId: "+id).message; !strings.Contains(
					line, "\tMemory Size: "+memory+" MB\t",
				) {
					t.Errorf("%s: %s", id, line)
				}
			}
			// The old environment has ended: the function's invocations go on counting in the new one.
			answers(b.invoke("f", `null`, as("last")), `[3,"512","512","orders",true,"last"]`)
		})
	}
}

// separator returns the separator of list members in the JSON of a language.
func separator(language string) string {
	if language == "python" {
		return ", "
	}
	return ","
}
