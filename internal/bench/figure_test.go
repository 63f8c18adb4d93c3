package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestQuantileLiesBetweenItsNeighboursInProportion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{3, 1, 2}, .5, 2},
		{[]float64{4, 1, 3, 2}, .5, 2.5},
		{[]float64{7}, .99, 7},
		{[]float64{0, 10}, .9, 9},
	} {
		if got := quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("quantile(%v, %v) = %v instead of %v", c.values, c.q, got, c.want)
		}
	}
	if !math.IsNaN(quantile(nil, .5)) {
		t.Error("nothing has a median")
	}
}

// A machine that slows down for a round slows both sides, so the ratio is taken within the round and not between
// medians.
func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	m := metric{unit: "rec/s"}
	r := result{names: []string{"raw", "ours"}, samples: [][][]float64{{{100}, {10}, {50}}, {{50}, {5}, {30}}}}

	median, low, high := r.ratio(0, m)

	if median != .5 || low != .5 || high != .6 {
		t.Errorf("got %v (%v to %v)", median, low, high)
	}
}

func TestSidesTakeTurnsAndWhoBeginsChanges(t *testing.T) {
	t.Parallel()
	var order []string
	note := func(name string) side {
		return side{name, func(context.Context) ([]float64, error) {
			order = append(order, name)
			return []float64{1}, nil
		}}
	}
	f := figure{build: func(_ context.Context, _ *lab, c *cleanup) (*stage, error) {
		c.add(func() { order = append(order, "closed") })
		return &stage{refs: []side{note("raw")}, ours: note("ours")}, nil
	}}

	_, err := (&lab{opt: options{rounds: 2}}).measure(t.Context(), f, t.Name())

	if got := strings.Join(order, " "); err != nil || got != "raw ours ours raw closed" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFigureFailsWhenAcknowledgedAndDeliveredDiffer(t *testing.T) {
	t.Parallel()
	one := func(context.Context) ([]float64, error) { return []float64{1}, nil }
	f := figure{build: func(context.Context, *lab, *cleanup) (*stage, error) {
		return &stage{
			ours: side{"ours", one}, check: func(context.Context) error { return same(10, 9, "records") },
		}, nil
	}}

	_, err := (&lab{opt: options{rounds: 1}}).measure(t.Context(), f, t.Name())

	var loss *lossError
	if !errors.As(err, &loss) || loss.acknowledged != 10 || loss.delivered != 9 {
		t.Errorf("got %v", err)
	}
}

func TestNumberThatIsNotMeasuredIsAnError(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context) ([]float64, error) { return []float64{quantile(nil, .5)}, nil }
	f := figure{build: func(context.Context, *lab, *cleanup) (*stage, error) {
		return &stage{ours: side{"ours", nothing}}, nil
	}}

	if _, err := (&lab{opt: options{rounds: 1}}).measure(t.Context(), f, t.Name()); err == nil {
		t.Error("a figure without a measurement passed")
	}
}

func TestTableSaysWhatWasAskedForAndWhetherItWasMet(t *testing.T) {
	t.Parallel()
	f := figure{
		what: "puts",
		metrics: []metric{
			{unit: "rec/s", at: 1000, of: map[string]float64{"raw": .5}},
			{name: "p50", unit: "ms", lower: true, at: 2, index: 1, digits: 1},
		},
	}
	r := result{figure: f, names: []string{"raw", "ours"}, samples: [][][]float64{{{10_000, 1}}, {{4000, 3}}}}
	var out bytes.Buffer

	err := print(&out, "table", []string{"machine"}, []result{r})

	for _, want := range []string{
		"4,000 rec/s", "raw 10,000 rec/s", "0.40", "≥ 1,000 rec/s: met ≥ 0.50 of raw: MISSED", "puts, p50",
		"≤ 2.0 ms: MISSED",
	} {
		if err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the table (%v):\n%s", want, err, out.String())
		}
	}
}

func TestEveryFigureHasANameOfItsOwnAndMetrics(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range figures() {
		if seen[f.name] || f.name == "" || f.what == "" || len(f.metrics) == 0 || f.build == nil {
			t.Errorf("figure %q is incomplete or there twice", f.name)
		}
		seen[f.name] = true
	}
}
