package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// figure is one path that is measured.
type figure struct {
	name    string
	what    string
	metrics []metric
	rounds  int // 0: as asked for
	build   builder
}

// builder makes a figure ready. What it starts, c stops after the measurements, or at once after an error.
type builder func(ctx context.Context, l *lab, c *cleanup) (*stage, error)

// metric is one number that every measurement of a figure returns, in the order of figure.metrics.
type metric struct {
	name   string
	unit   string
	lower  bool // lower is better
	at     float64
	of     map[string]float64 // bounds of the ratio to a reference
	index  int                // index of its value in the measurement
	upper  bool               // the 90th percentile over rounds instead of the median
	digits int
}

// stage is a figure made ready: servers run, streams are filled.
type stage struct {
	refs []side
	ours side
	// checks that everything acknowledged was delivered; nil: each measurement checks itself
	check func(ctx context.Context) error
}

// side is one of the things that take turns.
type side struct {
	name    string
	measure func(ctx context.Context) ([]float64, error)
}

// lossError is the error of a figure whose acknowledged and delivered records differ.
type lossError struct {
	acknowledged, delivered int64
	where                   string
}

func (e *lossError) Error() string {
	return fmt.Sprintf("acknowledged %d records but delivered %d (%s)", e.acknowledged, e.delivered, e.where)
}

// same returns nil if exactly the acknowledged records were delivered.
func same(acknowledged, delivered int64, where string) error {
	if acknowledged != delivered {
		return &lossError{acknowledged, delivered, where}
	}
	return nil
}

// result is a figure's measurements: by side, by round, by metric.
type result struct {
	figure  figure
	names   []string // of the sides, ours last
	samples [][][]float64
}

// measure runs a figure: its sides take turns within each round, and the order changes from round to round.
func (l *lab) measure(ctx context.Context, f figure, progress string) (r result, err error) {
	began := time.Now()
	rounds := f.rounds
	if rounds == 0 {
		rounds = l.opt.rounds
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", progress, fmt.Sprintf(format, args...))
	}
	var c cleanup
	defer c.run()
	s, err := f.build(ctx, l, &c)
	if err != nil {
		return r, fmt.Errorf("making it ready: %w", err)
	}
	sides := append(slices.Clone(s.refs), s.ours)
	r = result{figure: f, samples: make([][][]float64, len(sides))}
	for _, s := range sides {
		r.names = append(r.names, s.name)
	}
	for round := range rounds {
		for i := range sides {
			at := (i + round) % len(sides)
			values, err := sides[at].measure(ctx)
			if err != nil {
				return r, fmt.Errorf("%s, round %d: %w", sides[at].name, round+1, err)
			}
			if slices.ContainsFunc(values, math.IsNaN) {
				return r, fmt.Errorf("%s, round %d: measured nothing", sides[at].name, round+1)
			}
			r.samples[at] = append(r.samples[at], values)
		}
	}
	if s.check != nil {
		if err := s.check(ctx); err != nil {
			return r, err
		}
	}
	say("%d rounds in %.1f s", rounds, time.Since(began).Seconds())
	return r, nil
}

// value returns the metric over all rounds of a side.
func (r *result) value(side int, m metric) float64 {
	q := 0.5
	if m.upper {
		q = 0.9
	}
	return quantile(r.column(side, m), q)
}

func (r *result) column(side int, m metric) []float64 {
	var out []float64
	for _, round := range r.samples[side] {
		out = append(out, round[m.index])
	}
	return out
}

// ratio returns the ratios of ours to a reference, round by round: the median, the smallest and the largest.
func (r *result) ratio(ref int, m metric) (median, low, high float64) {
	ours, theirs := r.column(len(r.names)-1, m), r.column(ref, m)
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	median = quantile(ratios, 0.5)
	if m.upper {
		median = r.value(len(r.names)-1, m) / r.value(ref, m)
	}
	return median, slices.Min(ratios), slices.Max(ratios)
}

// quantile returns a quantile of values, interpolated between neighbours. NaN if there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (s[i+1]-s[i])*(at-float64(i))
}

// within reports whether a value meets a bound.
func (m metric) within(value, bound float64) bool {
	if m.lower {
		return value <= bound
	}
	return value >= bound
}

// cleanup runs deferred functions once, last first.
type cleanup []func()

func (c *cleanup) add(f func()) { *c = append(*c, f) }

func (c *cleanup) run() {
	for _, f := range slices.Backward(*c) {
		f()
	}
	*c = nil
}
