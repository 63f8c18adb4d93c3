package functiontest

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Qualifiers is what a fake of the room knows of the versions and aliases of its one function. The zero value has none.
// Not safe for concurrent use.
type Qualifiers struct {
	last     int
	versions map[string]int // of the code, by number
	aliases  map[string]function.Alias
	coins    *rand.Rand // of weighted aliases
}

// Publish makes a version whose code has that version, and returns its number.
func (q *Qualifiers) Publish(code int) (number string) {
	if q.versions == nil {
		q.versions = map[string]int{}
	}
	q.last++
	number = strconv.Itoa(q.last)
	q.versions[number] = code
	return number
}

// Restore brings a version back, which the room never does: it stands for one that another program has.
func (q *Qualifiers) Restore(number string, code int) { q.versions[number] = code }

// Point makes an alias lead to a version, and with weights to another one, too.
func (q *Qualifiers) Point(alias, version string, weights map[string]float64) {
	if q.aliases == nil {
		q.aliases = map[string]function.Alias{}
	}
	q.aliases[alias] = function.Alias{Name: alias, Version: version, Weights: weights}
}

// Remove deletes a version or an alias.
func (q *Qualifiers) Remove(qualifier string) {
	delete(q.versions, qualifier)
	delete(q.aliases, qualifier)
}

// Resolve returns the version that a qualifier leads an invocation to, and that of its code; latest is that of
// $LATEST.
func (q *Qualifiers) Resolve(qualifier string, latest int) (version string, code int, ok bool) {
	if a, ok := q.aliases[qualifier]; ok {
		if q.coins == nil {
			q.coins = rand.New(rand.NewPCG(1, 2))
		}
		qualifier = a.Route(q.coins.Float64())
	}
	if qualifier == "" || qualifier == function.Latest {
		return function.Latest, latest, true
	}
	code, ok = q.versions[qualifier]
	return qualifier, code, ok
}

// runs invokes through a qualifier and judges which version ran, and of which code.
func (b *Bench) runs(t *testing.T, when, qualifier, version, code string) {
	t.Helper()
	res := b.Invoke(t.Context(), function.Invocation{
		Ref: b.Ref, Qualifier: qualifier, Payload: []byte(Version), Wait: true,
	})
	if res.Class != function.Success || string(res.Payload) != code || res.ExecutedVersion != version {
		t.Errorf("%s: %s, %q ran with code %s; want %q with code %s", when, res.Class, res.ExecutedVersion, res.Payload,
			version, code)
	}
}

// A version is what $LATEST was when it was published, whatever becomes of $LATEST.
func published(t *testing.T, b *Bench) {
	b.Create()
	first := b.Publish()
	code := "1"
	if b.Update != nil {
		b.Update()()
		code = "2"
	}
	second := b.Publish()

	b.runs(t, "after an update", "", function.Latest, code)
	b.runs(t, "after an update", function.Latest, function.Latest, code)
	b.runs(t, "after an update", first, first, "1")
	b.runs(t, "after an update", second, second, code)
	if c, ok := b.Find(b.Ref, first); !ok || c.Role == "" {
		t.Errorf("the configuration of a version is %+v, %t", c, ok)
	}
	if b.Update != nil && first == second {
		t.Errorf("other code has the number %s, too", first)
	}
}

// An alias leads invocations to where it points now, and who follows the function hears of a change.
func followed(t *testing.T, b *Bench) {
	b.Create()
	version := b.Publish()
	b.Point("live", version, nil)
	b.runs(t, "an alias", "live", version, "1")

	changed := b.Changed(b.Ref)
	b.Point("live", function.Latest, nil)

	eventually.Comes(t, "word of an alias that points elsewhere", changed)
	b.runs(t, "an alias that points elsewhere", "live", function.Latest, "1")
	changed = b.Changed(b.Ref)
	b.Remove("live")
	eventually.Comes(t, "word of an alias that is gone", changed)
	changed = b.Changed(b.Ref)
	b.Remove(version)
	eventually.Comes(t, "word of a version that is gone", changed)
}

func unknownQualifier(t *testing.T, b *Bench) {
	b.Create()
	version := b.Publish()
	b.Point("live", version, nil)
	b.Remove("live")
	b.Remove(version)
	for _, qualifier := range []string{"live", version, "99", "never"} {
		if _, ok := b.Find(b.Ref, qualifier); ok {
			t.Errorf("%s is found", qualifier)
		}
		res := b.Invoke(t.Context(), function.Invocation{
			Ref: b.Ref, Qualifier: qualifier, Payload: []byte(Echo), Wait: true,
		})
		want(t, res, function.Result{Class: function.ConfigError, Reason: function.ReasonNotFound, StatusCode: 404})
	}
	b.runs(t, "the function itself", "", function.Latest, "1")
}

// Concurrency is reserved for a function as a whole.
func sharedPlaces(t *testing.T, b *Bench) {
	b.Create()
	version := b.Publish()
	b.Reserve(1)
	h, letGo := hold(t)
	result := make(chan function.Result, 1)
	go func() {
		result <- b.Invoke(t.Context(), function.Invocation{
			Ref: b.Ref, Qualifier: version, Payload: []byte(h.event), Wait: true,
		})
	}()
	eventually.Comes(t, "an invocation that runs", h.came)
	want(t, b.invoke(t.Context(), Echo), reserved)
	l := newLine()
	l.enrol(b, "a")
	letGo()
	if res := eventually.Comes(t, "a result", result); res.ExecutedVersion != version {
		t.Errorf("%q ran", res.ExecutedVersion)
	}
	l.next(t, "a")
}

// Each invocation is routed on its own: with equal shares one version does not get all of 64, but once in 2⁶³ runs.
func weighted(t *testing.T, b *Bench) {
	b.Create()
	first := b.Publish()
	code := "1"
	if b.Update != nil {
		b.Update()()
		code = "2"
	}
	second := b.Publish()
	if first == second {
		return // nothing of it changes
	}
	b.Point("live", first, map[string]float64{second: .5})
	ran := map[string]int{}
	for i := 0; i < 64 && len(ran) < 2; i++ {
		res := b.Invoke(t.Context(), function.Invocation{
			Ref: b.Ref, Qualifier: "live", Payload: []byte(Echo), Wait: true,
		})
		ran[res.ExecutedVersion]++
	}
	if ran[first] == 0 || ran[second] == 0 || len(ran) != 2 {
		t.Errorf("these versions ran: %v", ran)
	}
	b.Point("live", first, map[string]float64{second: 1})
	for range 3 {
		b.runs(t, "all the weight is on the other version", "live", second, code)
	}
	b.Point("live", first, map[string]float64{second: 0})
	b.runs(t, "no weight is on the other version", "live", first, "1")
}
