package simshell

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// settings is what the outside world knows of a stream's settings: of each, the values that it may have. There is one
// after a change that was acknowledged and after every look, and there are more after a change of unknown outcome. The
// root goroutine's alone.
type settings struct {
	rng *rand.Rand
	may map[string]map[string]bool
}

// absent is the value of a tag or consumer that is not there.
const absent = ""

var (
	someTags      = []string{"tag team", "tag stage", "tag cost"}
	someConsumers = []string{"consumer billing", "consumer search"}
)

func newSettings(seed uint64) settings {
	s := settings{rng: rand.New(rand.NewPCG(seed, 0x73657473)), may: map[string]map[string]bool{}}
	for _, what := range append(slices.Clone(someTags), someConsumers...) {
		s.may[what] = map[string]bool{absent: true}
	}
	for _, one := range ofStream {
		s.may[one.name] = map[string]bool{one.first: true}
	}
	return s
}

// known returns the value of a setting, if there is only one that it may have.
func (s *settings) known(what string) (value string, only bool) {
	for value = range s.may[what] {
	}
	return value, len(s.may[what]) == 1
}

// adjust changes one setting of the stream.
func (w *world) adjust() {
	s, p := &w.settings, w.p
	if !w.look(p) {
		return
	}
	one := ofStream[s.rng.IntN(len(ofStream))]
	what := pick(s.rng, one.name, one.name, someTags[s.rng.IntN(len(someTags))],
		someConsumers[s.rng.IntN(len(someConsumers))])
	if mode, _ := s.known(modeOf.name); mode != modeOf.first { // it cannot be rescaled meanwhile
		one, what = modeOf, modeOf.name
	}
	now, only := s.known(what)
	if !only {
		return // what was begun goes on
	}
	next, change := absent, func(context.Context) error { return nil }
	_, name, _ := strings.Cut(what, " ")
	switch {
	case what == one.name:
		next = one.next(s.rng, now)
		change = func(ctx context.Context) error { return one.set(ctx, p.streams, now, next) }
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
	if what == one.name {
		w.count("the " + what + " changes")
	}
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
	seen := map[string]string{}
	for _, one := range ofStream {
		seen[one.name] = one.read(info)
	}
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
		if what != modeOf.name || info.Status == stream.Active { // else it may yet change
			s.may[what] = map[string]bool{seen[what]: true}
		}
	}
	w.keeps(retentionOf.name)
	return true
}

// keeps tells the judge how long records are kept from now on. A longer time brings nothing back.
func (w *world) keeps(what string) {
	if what != retentionOf.name {
		return
	}
	for text := range w.settings.may[what] {
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

// startsUnder returns what the next process starts under: AWS's rates or none, and a quota of shards that the stream
// may be past; 0: the usual one.
func (w *world) startsUnder() (rates bool, quota int) {
	if !w.knobs.adjusted {
		return false, 0
	}
	// what is put to fill buffers comes faster than AWS takes it
	if rates = w.settings.rng.IntN(4) == 0 && w.knobs.backlog == 0; rates {
		w.count("a start with AWS's limits")
	}
	if w.settings.rng.IntN(4) == 0 {
		quota = leastQuota
		w.count("a start with a small quota")
	}
	return rates, quota
}

// leastQuota is as many shards as a stream has at first, at most.
const leastQuota = 3

// judgeQuota checks that a reshard has kept to the quota of its process. before is how many shards were open.
func (w *world) judgeQuota(p *process, before int) {
	info, err := p.streams.Lookup(context.Background(), orders)
	if err != nil || p.quota == 0 || info.Mode != stream.Provisioned || p.dead.Load() {
		return
	}
	if n := info.OpenShards(); n > before && n > p.quota {
		w.say("%d shards became %d, and the quota is %d", before, n, p.quota)
	}
}

// judgeEncryption checks that each record that can still be read counts as its put was told, also over crashes that
// came in the middle of a change.
func (w *world) judgeEncryption(p *process) {
	info, err := p.streams.Lookup(context.Background(), orders)
	if err != nil || p.dead.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	horizon := record.MillisOf(w.now().Add(-w.kept))
	horizon = max(horizon, record.MillisOf(w.horizon))
	for id, one := range w.sent {
		if !one.acked || one.arrival < horizon {
			continue
		}
		encrypted := slices.ContainsFunc(info.Encrypted, func(s stream.Span) bool {
			return s.From <= one.arrival && (s.Until == 0 || one.arrival < s.Until)
		})
		if encrypted != one.encrypted {
			w.complain("record %d, of %d, was put with encryption %t, and counts as %t among %v", id, one.arrival,
				one.encrypted, encrypted, info.Encrypted)
		}
		if encrypted {
			w.rep.Events["a record is found encrypted"]++
		}
	}
}
