package function_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
)

// A Python function sees the server's clock, and a warm one follows it from the next invocation on, whatever it
// imported before. What remains of its time-out counts real time.
func TestPythonFunctionsFollowTheClock(t *testing.T) {
	t.Parallel()
	c := clock.New(2 * time.Hour)
	b := start(t, func(o *function.Options) { o.Clock, o.SteeredClock = c, true })
	b.python("f", `
		import email.utils, logging, os, time, uuid
		import datetime as module
		from datetime import date, datetime, timedelta, timezone
		from time import time as now, time_ns, strftime, localtime
		class Derived(datetime):
		    pass
		class Holder:
		    clock = time.time
		UTC, EPOCH = timezone.utc, datetime(1970, 1, 1)
		def seconds(text, format):
		    return (datetime.strptime(text, format) - EPOCH).total_seconds()
		def handler(event, context):
		    left = context.get_remaining_time_in_millis()
		    began = time.monotonic()
		    time.sleep(0.01)
		    record = logging.LogRecord("n", 20, "p", 1, "m", (), None)
		    zone = timezone(timedelta(hours=5))
		    fold = datetime.now(zone)
		    times = {
		        "time": time.time(), "from time": now(), "time_ns": time_ns() / 1e9, "held": Holder().clock(),
		        "clock_gettime": time.clock_gettime(time.CLOCK_REALTIME), "clock_gettime_ns": time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9,
		        "gmtime": time.mktime(time.gmtime()), "gmtime None": time.mktime(time.gmtime(None)), "localtime": time.mktime(localtime()),
		        "ctime": time.mktime(time.strptime(time.ctime())), "asctime": time.mktime(time.strptime(time.asctime())),
		        "strftime": seconds(strftime("%Y-%m-%d %H:%M:%S"), "%Y-%m-%d %H:%M:%S"),
		        "now": (datetime.now() - EPOCH).total_seconds(), "now tz": datetime.now(UTC).timestamp(), "now zone": fold.timestamp(),
		        "now keyword": datetime.now(tz=UTC).timestamp(), "utcnow": (datetime.utcnow() - EPOCH).total_seconds(), "today": (datetime.today() - EPOCH).total_seconds(),
		        "derived": (Derived.now() - EPOCH).total_seconds(), "derived utcnow": (Derived.utcnow() - EPOCH).total_seconds(), "module": module.datetime.now(UTC).timestamp(),
		        "email": email.utils.parsedate_to_datetime(email.utils.formatdate()).timestamp(), "log": record.created,
		        "uuid1": (uuid.uuid1().time - 0x01b21dd213814000) / 1e7,
		    }
		    same = [date.today() == datetime.now().date(), fold.utcoffset() == timedelta(hours=5), type(Derived.now()) is Derived, type(Derived.utcnow()) is Derived]
		    fixed = [time.gmtime(0)[0], time.strftime("%Y", (2000, 1, 1, 0, 0, 0, 5, 1, 0)), time.ctime(0)[-4:], datetime.fromtimestamp(0, UTC).year]
		    return {"times": times, "same": same, "fixed": fixed, "left": left, "slept": 0.005 < time.monotonic() - began < 9}
	`)
	for _, offset := range []time.Duration{2 * time.Hour, 400 * 24 * time.Hour} {
		c.SetOffset(offset)
		r := b.invoke("f", `{}`)

		var got struct {
			Times map[string]float64
			Same  []bool
			Fixed []any
			Left  int
			Slept bool
		}
		if err := json.Unmarshal(r.Payload, &got); err != nil || len(got.Times) < 20 {
			t.Fatalf("got %s: %v", r.Payload, err)
		}
		for what, seconds := range got.Times {
			at := time.UnixMicro(int64(seconds * 1e6))
			if late := c.Now().Sub(at); late < -2*time.Second || late > time.Minute {
				t.Errorf("offset %s: %s is %s behind the clock", offset, what, late)
			}
		}
		for i, ok := range got.Same {
			if !ok {
				t.Errorf("offset %s: identity %d does not hold", offset, i)
			}
		}
		if fixed, _ := json.Marshal(got.Fixed); string(fixed) != `[1970,"2000","1970",1970]` {
			t.Errorf("times that were given became %s", fixed)
		}
		if got.Left <= 0 || got.Left > 10_000 || !got.Slept {
			t.Errorf("offset %s: %d ms are left, slept %v", offset, got.Left, got.Slept)
		}
	}
}

// Types stay what they are: code compares, pickles and copies them, and waits by clocks that are never moved.
func TestTheClockLeavesTypesAlone(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.Clock, o.SteeredClock = clock.New(time.Hour), true })
	b.python("f", `
		import asyncio, copy, datetime, inspect, pickle, threading, time
		async def wait():
		    await asyncio.wait_for(asyncio.sleep(0.01), 5)
		def handler(event, context):
		    now = datetime.datetime.now()
		    aware = datetime.datetime.now(datetime.timezone.utc)
		    asyncio.run(wait())
		    return [
		        type(now) is datetime.datetime, isinstance(now, datetime.date), pickle.loads(pickle.dumps(aware)) == aware, copy.deepcopy(now) == now,
		        type(now + datetime.timedelta(1)) is datetime.datetime, datetime.datetime.__module__ == "datetime", datetime.datetime.__mro__[1] is datetime.date,
		        pickle.loads(pickle.dumps(time.time)) is time.time, callable(time.time), not threading.Event().wait(0.01), time.time.__name__ == "time",
		        datetime.datetime.now.__name__ == "now", isinstance(time.localtime(), time.struct_time), abs(aware.timestamp() - time.time()) < 60,
		        abs(time.clock_gettime(time.CLOCK_MONOTONIC) - time.monotonic()) < 60, abs(time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9 - time.monotonic()) < 60,
		    ]
	`)

	want(t, b.invoke("f", `{}`), function.Success, "["+strings.Repeat("true, ", 15)+"true]")
}

// Where the clock cannot be moved, nothing is replaced.
func TestRealTimeIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import datetime, time
		def handler(event, context):
		    return [type(time.time).__name__, type(datetime.datetime.now).__name__]
	`)

	want(t, b.invoke("f", `{}`), function.Success, `["builtin_function_or_method", "builtin_function_or_method"]`)
}
