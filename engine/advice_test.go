package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
)

// answering returns every batch with what answer makes of it.
func answering(answer func(invocation) string) func(invocation) function.Result {
	return func(i invocation) function.Result {
		res := ok()
		res.Payload = []byte(answer(i))
		return res
	}
}

// What AWS takes without a word and no user can want is done as AWS does it, and said once for each mapping, however
// often it happens.
func TestAdviceIsGivenOnceForEachMapping(t *testing.T) {
	t.Parallel()
	report := func(i invocation) string {
		return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, i.sequences[0])
	}
	say := func(body string) func(invocation) string { return func(invocation) string { return body } }
	reports := []string{"ReportBatchItemFailures"}
	for _, c := range []struct {
		name   string
		knobs  mapping.Knobs
		answer func(invocation) string
		hint   string // what it says; "": none is given
	}{
		{
			"a report that nobody asked for",
			mapping.Knobs{},
			report,
			"FunctionResponseTypes does not hold ReportBatchItemFailures",
		},
		{"an empty report that nobody asked for", mapping.Knobs{}, say(`{"batchItemFailures":[]}`), ""},
		{"a sentence that nobody reads", mapping.Knobs{}, say(`"Delivered 2 records"`), ""},
		{
			"a sentence where reports are expected",
			mapping.Knobs{ResponseTypes: reports},
			say(`"Delivered 2 records"`), "carries no report",
		},
		{"a bare list", mapping.Knobs{ResponseTypes: reports}, say(`[{"itemIdentifier":"1"}]`), "a bare list"},
		{
			"a report in a text",
			mapping.Knobs{ResponseTypes: reports},
			say(`"{\"batchItemFailures\":[{\"itemIdentifier\":\"1\"}]}"`), "within a text",
		},
		{
			"another spelling",
			mapping.Knobs{ResponseTypes: reports},
			say(`{"BatchItemFailures":[{"itemIdentifier":"1"}]}`), "spelt exactly so",
		},
		{
			"a report that cannot be followed",
			mapping.Knobs{ResponseTypes: reports},
			say(`{"batchItemFailures":[{"itemIdentifier":""}]}`), "cannot be followed",
		},
		{
			"a window without a state",
			mapping.Knobs{TumblingWindowSeconds: p(int64(60))},
			say(`"counted"`),
			"without a state",
		},
		{"nothing at all", mapping.Knobs{ResponseTypes: reports}, say(`null`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				defer w.close()
				w.functions.handle = answering(c.answer)
				c.knobs.BatchSize, c.knobs.MaxRetries = p(int64(2)), p(int64(1))
				uuid := w.create(c.knobs)
				for key := range 4 {
					w.put(fmt.Sprint(key), numbered(1, 6)...)
				}
				w.pass(time.Minute)

				hints := w.hinted()
				switch {
				case c.hint == "" && len(hints) > 0:
					t.Errorf("hints %q", hints)
				case c.hint != "" &&
					(len(hints) != 1 || !strings.Contains(hints[0], c.hint) ||
						!strings.Contains(hints[0], uuid) || !strings.Contains(hints[0], " f: ")):
					t.Errorf("hints %q, want one about %s of mapping %s", hints, c.hint, uuid)
				}
			})
		})
	}
}

// A batch that nothing ends is named once it has failed five times in a row, and not when retries, an age or a success
// end it.
func TestAdviceAboutABlockedShard(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		knobs mapping.Knobs
		fails int
		said  bool
	}{
		"nothing ends it":      {mapping.Knobs{}, 100, true},
		"it gets better":       {mapping.Knobs{}, 4, false},
		"retries end it":       {mapping.Knobs{MaxRetries: p(int64(20))}, 100, false},
		"an age ends it":       {mapping.Knobs{MaxAgeSeconds: p(int64(3600))}, 100, false},
		"only a bad record is": {mapping.Knobs{Bisect: p(true)}, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.functions.handle = func(invocation) function.Result {
					if c.fails--; c.fails >= 0 {
						return failure()
					}
					return ok()
				}
				w.create(c.knobs)
				w.put("k", numbered(1, 2)...)
				w.pass(5 * time.Minute)

				said := slices.ContainsFunc(w.hinted(), func(h string) bool {
					return strings.Contains(h, "fails again and again")
				})
				if said != c.said {
					t.Errorf("hints %q", w.hinted())
				}
			})
		})
	}
}

// A replay is judged by the same rules, so it is advised by them too; a mapping made anew hears it anew.
func TestAdviceOfAReplayAndAfterADelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = answering(func(i invocation) string {
			return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, i.sequences[0])
		})
		w.put("k", "a")
		uuid := w.create(mapping.Knobs{Enabled: p(false)})
		for range 2 {
			if _, err := w.engine.Replay(
				t.Context(), uuid, engine.ReplayRange{From: 1, To: 1}, func(engine.Replayed) {},
			); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		w.pass(time.Second)
		w.create(mapping.Knobs{})
		w.pass(time.Second)

		if hints := w.hinted(); len(hints) != 2 || hints[0] == hints[1] {
			t.Errorf("hints %q, want one for each mapping", hints)
		}
	})
}
