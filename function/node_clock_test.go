package function_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
)

// Under a clock that can be moved a function sees it wherever JavaScript shows the time, in worker threads and forked
// processes as well, and a warm environment follows. What measures durations is left alone.
func TestNodeFunctionsSeeTheSteeredClock(t *testing.T) {
	t.Parallel()
	c := clock.New(2 * time.Hour)
	b := start(t, func(o *function.Options) { o.Clock, o.SteeredClock = c, true })
	b.nodejs("f", "", files(
		file{"index.js", dedent(`
			const { Worker } = require("node:worker_threads");
			const { fork } = require("node:child_process");
			const fs = require("node:fs"), util = require("node:util"), path = require("node:path");
			const real = () => { const f = path.join(process.env.TMPDIR ?? "/tmp", "stamp"); fs.writeFileSync(f, ""); return fs.statSync(f).mtimeMs; };
			class Later extends Date { plus() { return new Later(this.getTime() + 1); } }
			const worker = new Worker(path.join(__dirname, "worker.js"));
			const asked = () => new Promise((done) => { worker.once("message", done); worker.postMessage("?"); });
			const forked = () => new Promise((done) => fork(path.join(__dirname, "worker.js")).once("message", done));
			const loaded = Date.now();
			exports.handler = async (event, context) => {
			  const hours = (ms) => Math.round((ms - real()) / 3600000 * 100) / 100;
			  const format = new Intl.DateTimeFormat("en", { dateStyle: "short", timeStyle: "long" });
			  const parts = Object.fromEntries(new Intl.DateTimeFormat("en", { timeZone: "UTC", hour: "numeric", hour12: false, day: "numeric" }).formatToParts().map((p) => [p.type, p.value]));
			  const now = new Date();
			  console.log("stamp");
			  const seen = {
			    date: hours(new Date()), now: hours(Date.now()), called: hours(Date.parse(Date())), sub: hours(new Later()), format: hours(Date.parse(format.format())),
			    origin: hours(performance.timeOrigin + performance.now()), worker: hours(await asked()), forked: hours(await forked()),
			  };
			  const kinds = [
			    now instanceof Date, now.constructor === Date, new Later() instanceof Later, new Later().plus() instanceof Date, util.types.isDate(now), structuredClone(now).getTime() === now.getTime(),
			    fs.statSync(__filename).mtime instanceof Date, Object.getPrototypeOf(now) === Date.prototype, JSON.stringify(now) === '"' + now.toISOString() + '"', new Date(0).getTime() === 0,
			    new Date(2020, 1).getMonth() === 1, Date.UTC(2020) === 1577836800000, Date.name === "Date", Date.length === 7, format.format === format.format, format.format(0) === format.format(new Date(0)),
			    Number(parts.day) === now.getUTCDate(), performance.now() < 600000, performance.toJSON().timeOrigin === performance.timeOrigin, typeof Date() === "string",
			    context.getRemainingTimeInMillis() > 0 && context.getRemainingTimeInMillis() <= 10000, Date.toString().includes("[native code]"),
			  ];
			  const own = globalThis.Date;
			  globalThis.Date = class extends own { constructor(...given) { given.length ? super(...given) : super(5); } };
			  kinds.push(new Date().getTime() === 5, new Date(6).getTime() === 6);
			  globalThis.Date = own;
			  const began = performance.now();
			  await new Promise((done) => setTimeout(done, 20));
			  kinds.push(performance.now() - began < 5000);
			  return [seen, kinds.map((ok, i) => (ok ? "" : i)).join("")];
			};
		`), 0o644},
		file{"worker.js", dedent(`
			const { parentPort, isMainThread } = require("node:worker_threads");
			if (isMainThread) { process.send(Date.now()); process.disconnect(); }
			else { parentPort.on("message", () => parentPort.postMessage(Date.now())); }
		`), 0o644},
	))
	for _, hours := range []int{2, 5} {
		c.SetOffset(time.Duration(hours) * time.Hour)

		want(
			t, b.invoke("f", `{}`), function.Success,
			strings.ReplaceAll(
				`[{"date":H,"now":H,"called":H,"sub":H,"format":H,"origin":H,"worker":H,"forked":H},""]`, "H",
				fmt.Sprint(hours),
			),
		)
	}
	if n := countEvents(b, "INIT_START"); n != 1 {
		t.Errorf("%d environments", n)
	}
	if e := b.log.find(t, "stamp"); !strings.HasPrefix(
		e.message, c.Now().Add(-3*time.Hour).UTC().Format("2006-01-02T15"),
	) &&
		!strings.HasPrefix(e.message, c.Now().Add(-3*time.Hour-time.Minute).UTC().Format("2006-01-02T15")) {
		t.Errorf("log line %q", e.message)
	}
}

// A function whose clock is not steered has the Date that Node gives it.
func TestNodeFunctionsOnRealTimeHaveTheRealDate(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.Clock = clock.New(2 * time.Hour) })
	b.nodejs(
		"f",
		`exports.handler = async () => [require("node:util").types.isProxy(Date), Math.abs(Date.now() - require("node:fs").statSync("/proc/self").mtimeMs) < 60000]`,
	)

	if r := b.invoke("f", `{}`); !strings.HasPrefix(string(r.Payload), `[false,`) {
		t.Errorf("got %s", r.Payload)
	}
}
