package function_test

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
)

// F-1, F-2, F-5 where transitions are meant to be seen, as at AWS's pace: Pending and InProgress stay for their time by
// the clock that can be moved, changes that conflict fail at once, and an invocation of a function that is Pending does
// too. During an update the old code runs.
func TestTransitionsStayVisible(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	b := start(t, func(o *function.Options) { o.Clock, o.Transition = c, 5*time.Minute })
	advance := func(d time.Duration) {
		t.Helper()
		if _, err := c.Advance(t.Context(), d, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	describe := func(text string) error {
		_, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
			Ref: ref("f"), Description: &text,
		})
		return err
	}
	conflict := "The operation cannot be performed at this time. An update is in progress for resource: " +
		ref("f").ARN()
	in := function.CreateInput{
		Name: "f", Caller: function.Caller{Account: testAccount, Region: testRegion}, Role: testRole,
		Runtime: "provided.al2023", Handler: "bootstrap", Timeout: number(10),
		Zip: zipOf(file{"bootstrap", bootstrapScript(t, "echo"), 0o755}),
	}
	if _, err := b.Create(t.Context(), in); err != nil {
		t.Fatal(err)
	}

	advance(4 * time.Minute)
	began := time.Now()
	if got, _ := b.Lookup(ref("f")); got.State != function.Pending {
		t.Errorf("after four minutes of five: %s", got.State)
	}
	if err := describe("x"); err == nil || err.Error() != fault.CodeConflict+": "+conflict {
		t.Errorf("a change of a function that is Pending: %v", err)
	}
	if res := b.invoke("f", `1`); res.StatusCode != 409 || res.Reason != function.Pending {
		t.Errorf("an invocation of a function that is Pending: %+v", res)
	}
	if waited := time.Since(began); waited > 900*time.Millisecond {
		t.Errorf("conflicts took %s", waited)
	}
	advance(time.Minute)
	if got := b.settled("f"); got.State != function.Active {
		t.Errorf("after five minutes: %s", got.State)
	}

	if err := describe("y"); err != nil {
		t.Fatal(err)
	}
	advance(4 * time.Minute)
	if got, _ := b.Lookup(ref("f")); got.UpdateStatus != function.InProgress {
		t.Errorf("the update after four minutes of five: %s", got.UpdateStatus)
	}
	want(t, b.invoke("f", `1`), function.Success, `1`)
	if err := describe("z"); fault.CodeOf(err) != fault.CodeConflict {
		t.Errorf("a second update: %v", err)
	}
	advance(time.Minute)
	if got := b.settled("f"); got.UpdateStatus != function.Successful || got.Description != "y" {
		t.Errorf("the update after five minutes: %s, %q", got.UpdateStatus, got.Description)
	}
}
