package simshell

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/stream"
)

// settings is what the outside world knows of a stream's settings: of each, the values that it may have. There is one
// after a change that was acknowledged and after every look, and there are more after a change of unknown outcome. The
// root goroutine's alone.
type settings struct {
	rng *rand.Rand
	may map[string]map[string]bool
}

// What is changed: the retention period, tags, and consumers. Absent is the value of a tag or consumer that is not
// there.
const (
	retention = "retention"
	absent    = ""
)

var (
	someTags      = []string{"tag team", "tag stage", "tag cost"}
	someConsumers = []string{"consumer billing", "consumer search"}
)

func newSettings(seed uint64) settings {
	s := settings{rng: rand.New(rand.NewPCG(seed, 0x73657473)), may: map[string]map[string]bool{}}
	for _, what := range append(slices.Clone(someTags), someConsumers...) {
		s.may[what] = map[string]bool{absent: true}
	}
	s.may[retention] = map[string]bool{hours(stream.DefaultRetention): true}
	return s
}

func hours(d time.Duration) string { return fmt.Sprint(int(d.Hours())) }

// adjust changes one setting of the stream.
func (w *world) adjust() {
	s, p := &w.settings, w.p
	if !w.look(p) {
		return
	}
	what := pick(s.rng, retention, someTags[s.rng.IntN(len(someTags))], someConsumers[s.rng.IntN(len(someConsumers))])
	now := slices.Collect(maps.Keys(s.may[what]))[0] // after a look there is one
	next, change := absent, func(context.Context) error { return nil }
	_, name, _ := strings.Cut(what, " ")
	switch {
	case what == retention:
		n := pick(s.rng, 24, 36, 48)
		next = fmt.Sprint(n)
		change = func(ctx context.Context) error {
			if next < now { // both have two digits
				return p.streams.DecreaseRetention(ctx, orders, n)
			}
			return p.streams.IncreaseRetention(ctx, orders, n)
		}
	case slices.Contains(someTags, what) && now != absent && s.rng.IntN(2) == 0:
		change = func(ctx context.Context) error { return p.streams.RemoveTags(ctx, orders, []string{name}) }
	case slices.Contains(someTags, what):
		next = fmt.Sprint(s.rng.IntN(100))
		change = func(ctx context.Context) error {
			return p.streams.AddTags(ctx, orders, map[string]string{name: next})
		}
	case now == absent:
		next = "registered"
		change = func(ctx context.Context) error {
			_, err := p.streams.RegisterConsumer(ctx, orders, name, nil)
			return err
		}
	default:
		change = func(ctx context.Context) error {
			return p.streams.DeregisterConsumer(ctx, stream.ConsumerNamed(orders, name))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := change(ctx)
	w.note("%s: %q becomes %q: %v", what, now, next, err)
	if err != nil || p.dead.Load() { // whatever it returned, the crash may have kept a moment before it
		s.may[what][next] = true
		return
	}
	s.may[what] = map[string]bool{next: true}
	w.count("a setting changes")
	w.keeps(what)
}

// look compares the settings with what they may be, and takes those that it has seen for known. It returns false if
// there was nothing to see, because the process died.
func (w *world) look(p *process) bool {
	s, ctx := &w.settings, context.Background()
	info, err := p.streams.Lookup(ctx, orders)
	if err != nil {
		return false // learn says so
	}
	seen := map[string]string{retention: hours(info.Retention)}
	for _, what := range append(slices.Clone(someTags), someConsumers...) {
		seen[what] = absent
	}
	tags, _, err := p.streams.Tags(ctx, orders, "", len(someTags)+1)
	if err == nil {
		for _, tag := range tags {
			seen["tag "+tag.Key] = tag.Value
		}
		var consumers []stream.Consumer
		consumers, _, err = p.streams.ListConsumers(ctx, orders, stream.ListConsumersInput{})
		for i := range consumers {
			if what := "consumer " + consumers[i].ID.Name; slices.Contains(someConsumers, what) {
				seen[what] = "registered" // the others are looked at by judgeConsumers
			}
		}
	}
	if err != nil || p.dead.Load() {
		return false
	}
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		if !s.may[what][seen[what]] {
			w.say("%s is %q, and may be %q", what, seen[what], slices.Sorted(maps.Keys(s.may[what])))
		}
		s.may[what] = map[string]bool{seen[what]: true}
	}
	w.keeps(retention)
	return true
}

// keeps tells the judge how long records are kept from now on. A longer time brings nothing back.
func (w *world) keeps(what string) {
	if what != retention {
		return
	}
	for text := range w.settings.may[retention] {
		var n time.Duration
		_, _ = fmt.Sscan(text, &n)
		w.mu.Lock()
		if before := w.now().Add(-w.kept); before.After(w.horizon) {
			w.horizon = before
		}
		w.kept = n * time.Hour
		w.mu.Unlock()
	}
}
