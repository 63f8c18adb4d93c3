package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
)

// name does something to the versions and aliases of the function.
func (w *world) name(do func(f *fakeFunctions)) {
	w.functions.change(func() { do(w.functions) })
	synctest.Wait()
}

// versions are the versions that ran, in order.
func (w *world) versions() (versions []string) {
	for _, c := range w.functions.seen() {
		versions = append(versions, c.version)
	}
	return versions
}

// A mapping to a version runs that version, to $LATEST that, and each is invoked by its own qualifier.
func TestMappingInvokesByItsQualifier(t *testing.T) {
	t.Parallel()
	for qualifier, version := range map[string]string{"": "$LATEST", ":$LATEST": "$LATEST", ":1": "1", ":live": "1"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			w.name(func(f *fakeFunctions) { f.named.Publish(1); f.named.Point("live", "1", nil) })
			var told []string
			w.observe = func(o engine.Observation) {
				if a, ok := o.What.(*esm.AttemptEnded); ok {
					told = append(told, a.Outcome.Version)
				}
			}
			w.create(mapping.Knobs{FunctionName: p("f" + qualifier)})
			w.put("k", "1")
			w.pass(time.Second)

			calls := w.functions.seen()
			if len(calls) != 1 || ":"+calls[0].qualifier != qualifier && qualifier+calls[0].qualifier != "" ||
				calls[0].version != version || calls[0].invoked != functionARN+qualifier {
				t.Errorf("%q: %+v", qualifier, calls)
			}
			if !slices.Equal(told, []string{version}) {
				t.Errorf("%q: versions %q are told", qualifier, told)
			}
		})
	}
}

// A mapping to an alias follows it: a batch in back-off is tried at once when the alias points elsewhere, and on the
// version that it points to now. The notice names the mapping's FunctionArn and the version that ran (§5.7).
func TestMappingFollowsItsAlias(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.name(func(f *fakeFunctions) {
			f.named.Publish(1)
			f.named.Publish(2)
			f.named.Point("live", "1", nil)
		})
		w.functions.handle = func(i invocation) function.Result {
			if i.version == "1" || slices.Contains(i.data, "bad") {
				return failure()
			}
			return ok()
		}
		w.create(mapping.Knobs{
			FunctionName: p("f:live"), BatchSize: p(int64(1)), MaxRetries: p(int64(3)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.put("k", "1")
		w.pass(1500 * time.Millisecond) // it is between two tries
		before := len(w.functions.seen())

		w.name(func(f *fakeFunctions) { f.named.Point("live", "2", nil) })
		w.pass(20 * time.Millisecond)

		if got := w.versions(); len(got) != before+1 || got[before] != "2" || slices.Contains(got[:before], "2") {
			t.Fatalf("%d attempts before, and these versions ran: %q", before, got)
		}
		w.put("k", "bad")
		w.pass(time.Minute)
		bodies := w.notices()
		if len(bodies) != 1 {
			t.Fatalf("%d notices", len(bodies))
		}
		var n struct {
			RequestContext  struct{ FunctionArn string }
			ResponseContext struct{ ExecutedVersion string }
		}
		w.must(json.Unmarshal([]byte(bodies[0]), &n))
		if n.RequestContext.FunctionArn != functionARN+":live" || n.ResponseContext.ExecutedVersion != "2" {
			t.Errorf("the notice is %s", bodies[0])
		}
	})
}

// With a weighted alias each invocation is routed on its own, so retries may run another version (§2.1): in 64
// attempts at one batch both versions run, but once in 2⁶³ runs.
func TestWeightsRouteEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.name(func(f *fakeFunctions) {
			f.named.Publish(1)
			f.named.Publish(2)
			f.named.Point("live", "1", map[string]float64{"2": .5})
		})
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.create(mapping.Knobs{FunctionName: p("f:live"), MaxRetries: p(int64(63))})
		w.put("k", "1")
		w.pass(24 * time.Hour)

		ran := w.versions()
		if len(ran) != 64 || !slices.Contains(ran, "1") || !slices.Contains(ran, "2") {
			t.Errorf("%d attempts, of versions %s", len(ran), strings.Join(ran, " "))
		}
	})
}

// S-20: a qualifier that is gone is as a function that is deleted: nothing is invoked, R is not spent and nothing is
// discarded; when it is there again, the batch goes at once.
func TestQualifierThatIsGoneIsAMissingFunction(t *testing.T) {
	t.Parallel()
	for _, qualifier := range []string{"1", "live"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			there := func(f *fakeFunctions) { f.named.Publish(1); f.named.Point("live", function.Latest, nil) }
			w.name(there)
			uuid := w.create(mapping.Knobs{
				FunctionName: p("f:" + qualifier), MaxRetries: p(int64(0)),
				Destination: &mapping.DestinationConfig{OnFailure: deadARN},
			})
			w.name(func(f *fakeFunctions) { f.named.Remove(qualifier) })
			w.put("k", "1")
			w.pass(10 * time.Minute)

			if n, notices := len(w.functions.seen()), w.notices(); n != 0 || len(notices) != 0 {
				t.Errorf("%s: %d invocations, %d notices", qualifier, n, len(notices))
			}
			if m := w.state(uuid); m.State != mapping.Enabled || m.LastResult != "PROBLEM: Function does not exist" {
				t.Errorf("%s: %s, %q", qualifier, m.State, m.LastResult)
			}
			w.name(func(f *fakeFunctions) {
				f.named.Point("live", function.Latest, nil)
				f.named.Restore("1", 1)
			})
			w.pass(20 * time.Millisecond)
			if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
				t.Errorf("%s: delivered %q once it is there again", qualifier, got)
			}
		})
	}
}

// A record whose payload is beyond Invoke's limit is refused before anything runs. Its notice names the version that
// would have run.
func TestNoticeOfATooLargePayloadNamesTheVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.must(w.streams.SetRecordBytes(t.Context(), orders, 10<<20))
		w.name(func(f *fakeFunctions) { f.named.Publish(1); f.named.Point("live", "1", nil) })
		w.create(mapping.Knobs{
			FunctionName: p("f:live"), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.put("k", strings.Repeat("x", 5<<20))
		w.pass(time.Minute)

		bodies := w.notices()
		if len(bodies) != 1 || !strings.Contains(bodies[0], `"statusCode":413,"executedVersion":"1"`) {
			t.Errorf("notices %q", bodies)
		}
	})
}

// An alias that leads to a version with another role changes the payload, as a new role of the function does.
func TestPayloadsNameTheRoleOfTheVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.roles = map[string]string{"1": "arn:aws:iam::000000000000:role/of-the-first"}
		w.name(func(f *fakeFunctions) { f.named.Publish(1); f.named.Point("live", function.Latest, nil) })
		w.create(mapping.Knobs{FunctionName: p("f:live")})
		w.put("k", "1")
		w.pass(time.Second)
		w.name(func(f *fakeFunctions) { f.named.Point("live", "1", nil) })
		w.pass(time.Second)
		w.put("k", "2")
		w.pass(time.Second)

		calls := w.functions.seen()
		if len(calls) != 2 || strings.Contains(calls[0].payload, "of-the-first") ||
			!strings.Contains(calls[1].payload, "role/of-the-first") {
			t.Errorf("%+v", calls)
		}
	})
}

// An update of the mapping that moves it to another qualifier moves it without a loss.
func TestMappingMovesToAnotherQualifier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.name(func(f *fakeFunctions) { f.named.Publish(1); f.named.Point("live", "1", nil) })
		uuid := w.create(mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		w.update(uuid, mapping.Knobs{FunctionName: p("f:live")})
		w.pass(time.Second)
		w.put("k", "2")
		w.pass(time.Second)

		if got, data := w.versions(), w.functions.delivered(); !slices.Equal(got, []string{"$LATEST", "1"}) ||
			!slices.Equal(data, []string{"1", "2"}) {
			t.Errorf("versions %q got %q", got, data)
		}
	})
}

const functionARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
