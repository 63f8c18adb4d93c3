package metric

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// watched is a Local that counts writes and can refuse them.
type watched struct {
	storage.Local
	mu     sync.Mutex
	writes int
	err    error
}

func (w *watched) Apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	w.mu.Lock()
	w.writes++
	err := w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.Local.Apply(ctx, d, ops...)
}

func (w *watched) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

type bench struct {
	*Store
	local *watched
	clock *clock.Clock
}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := clock.New(0)
	backend := memory.New(memory.Options{Clock: c})
	t.Cleanup(func() { _ = backend.Close() })
	b := &bench{local: &watched{Local: backend.Local()}, clock: c}
	b.open(t)
	return b
}

// open opens the store as another process would.
func (b *bench) open(t testing.TB) {
	t.Helper()
	st, err := New(Options{Local: b.local, Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Stop)
	b.Store = st
}

func named(name string, dimensions ...Dimension) ID {
	return ID{Account: "000000000000", Region: "us-east-1", Namespace: "Shop", Name: name, Dimensions: dimensions}
}

// hour returns a full hour in the recent past.
func (b *bench) hour() time.Time { return b.clock.Now().Add(-2 * time.Hour).Truncate(time.Hour) }

func (b *bench) points(t testing.TB, id ID, start time.Time, period time.Duration) []Point {
	t.Helper()
	got, err := b.Points(Query{ID: id, Start: start, End: start.Add(time.Hour), Period: period})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (p Point) String() string {
	return fmt.Sprintf(
		"%s %s n=%g sum=%g min=%g max=%g", p.At.UTC().Format("15:04"), p.Unit, p.Count, p.Sum, p.Min, p.Max,
	)
}

func texts(points []Point) (out []string) {
	for _, p := range points {
		out = append(out, p.String())
	}
	return out
}

// F-69: ten values from 0 to 9, whatever happens to the process between them.
func TestValuesOfAMinuteAreSummedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	for i := range 10 {
		b.Series(named("metric"), None).Add(at.Add(time.Duration(i)*time.Second), float64(i))
		if i == 4 {
			b.Stop()
			b.open(t)
		}
	}
	got := b.points(t, named("metric"), at, time.Minute)
	if len(got) != 1 || got[0].Count != 10 || got[0].Sum != 45 || got[0].Min != 0 || got[0].Max != 9 ||
		got[0].Average() != 4.5 {
		t.Fatal(got)
	}
}

// A period begins at the start of the query; values before it or at its end are not part of it, and empty periods are
// left out.
func TestPeriodsBeginAtTheStartOfTheQuery(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	s := b.Series(named("m"), Count)
	for minute := range 12 {
		s.Add(at.Add(time.Duration(minute)*time.Minute), float64(minute))
	}
	got, err := b.Points(Query{
		ID: named("m"), Start: at.Add(2 * time.Minute), End: at.Add(9 * time.Minute), Period: 5 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	clock := func(m int) string { return at.Add(time.Duration(m) * time.Minute).UTC().Format("15:04") }
	want := []string{clock(2) + " Count n=5 sum=20 min=2 max=6", clock(7) + " Count n=2 sum=15 min=7 max=8"}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Error(diff)
	}
	if got := b.points(t, named("m"), at.Add(30*time.Minute), time.Minute); len(got) != 0 {
		t.Errorf("an empty span holds %v", got)
	}
}

// Every set of dimensions is a metric of its own, in any order; every unit is a series of its own.
func TestDimensionsAndUnitsTellSeriesApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	x, y := Dimension{"x", "1"}, Dimension{"y", "2"}
	b.Series(named("m", x, y), Count).Add(at, 1)
	b.Series(named("m", y, x), Count).Add(at, 1)
	b.Series(named("m", x), Count).Add(at, 10)
	b.Series(named("m"), Count).Add(at, 100)
	b.Series(named("m"), Bytes).Add(at, 1000)
	b.Series(named("mm"), Count).Add(at, 10000)
	clock := at.UTC().Format("15:04")
	for _, c := range []struct {
		id   ID
		want []string
	}{
		{named("m", y, x), []string{clock + " Count n=2 sum=2 min=1 max=1"}},
		{named("m", x), []string{clock + " Count n=1 sum=10 min=10 max=10"}},
		{
			named("m"),
			[]string{clock + " Bytes n=1 sum=1000 min=1000 max=1000", clock + " Count n=1 sum=100 min=100 max=100"},
		},
		{named("m", y), nil},
		{named("none"), nil},
	} {
		if diff := cmp.Diff(c.want, texts(b.points(t, c.id, at, time.Minute))); diff != "" {
			t.Errorf("%v: %s", c.id, diff)
		}
	}
	only, err := b.Points(Query{ID: named("m"), Unit: Bytes, Start: at, End: at.Add(time.Minute), Period: time.Minute})
	if err != nil || len(only) != 1 || only[0].Unit != Bytes {
		t.Errorf("in bytes: %v, %v", only, err)
	}
}

// Percentiles are within 1 % of the exact value, for values of any size and sign and however the minutes were written.
func TestPercentilesAreWithinOnePercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		n := rapid.IntRange(1, 500).Draw(r, "n")
		var whole, part bucket
		values := make([]float64, n)
		for i := range values {
			values[i] = math.Exp(rng.NormFloat64() * 10)
			if rng.IntN(4) == 0 {
				values[i] = -values[i]
			}
			if rng.IntN(10) == 0 {
				values[i] = 0
			}
			part.add(values[i], 1)
			if rng.IntN(20) == 0 || i == n-1 {
				var stored bucket
				if err := decodeBucket(appendBucket(nil, &part), &stored); err != nil {
					r.Fatal(err)
				}
				whole.Join(&stored.Summary)
				part.reset()
			}
		}
		slices.Sort(values)
		for _, p := range []float64{0, 1, 7, 10, 50, 90, 99, 99.9, 100} {
			exact := values[max(1, int(math.Ceil(p*float64(n)/100*(1-1e-12))))-1]
			got, known := whole.Percentile(p)
			if !known || math.Abs(got-exact) > math.Abs(exact)/100 {
				r.Fatalf("p%g of %d values is %g, answered %g (known: %v)", p, n, exact, got, known)
			}
		}
	})
}

// The largest and the smallest values that CloudWatch accepts fit; values that it refuses are dropped.
func TestExtremesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	s := b.Series(named("m"), None)
	for _, v := range []float64{
		MaxValue, -MaxValue, 0x1p-360, -0x1p-360, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), 0x1p361,
	} {
		s.Add(at, v)
	}
	got := b.points(t, named("m"), at, time.Minute)
	if len(got) != 1 || got[0].Count != 5 || got[0].Max != MaxValue || got[0].Min != -MaxValue {
		t.Fatal(got)
	}
	if v, known := got[0].Percentile(50); !known || math.Abs(v) > 1e-100 {
		t.Errorf("the middle is %g, %v", v, known)
	}
}

// Sums from elsewhere count exactly; percentiles are known only when all values are.
func TestSummariesHidePercentiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	for _, put := range []struct {
		minute               int
		count, sum, low, top float64
		known                bool
	}{{0, 10, 45, 0, 9, false}, {1, 3, 21, 7, 7, true}, {2, 1, 5, 5, 5, true}} {
		when := at.Add(time.Duration(put.minute) * time.Minute)
		if err := b.PutSummary(named("m"), None, when, put.count, put.sum, put.low, put.top); err != nil {
			t.Fatal(err)
		}
		got := b.points(t, named("m"), when, time.Minute)
		if _, known := got[0].Percentile(50); known != put.known || got[0].Count != put.count ||
			got[0].Sum != put.sum || got[0].Min != put.low || got[0].Max != put.top {
			t.Errorf("%+v became %v, percentiles known: %v", put, got, known)
		}
	}
	if all := b.points(t, named("m"), at, time.Hour); len(all) != 1 || all[0].Count != 14 {
		t.Error(all)
	} else if _, known := all[0].Percentile(99); known {
		t.Error("the percentile of a period with a summary is known")
	}
}

// pass lets d pass in a synctest bubble, and waits until all that it sets off is done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// Values are written a second after the first of them, at once for a reader, and not at all while nothing is recorded.
func TestNothingRunsWhileNothingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.Series(named("m"), Count)
		pass(time.Hour)
		if n := b.local.count(); n != 0 {
			t.Fatalf("%d writes without a value", n)
		}
		for range 5 {
			s.Add(b.clock.Now(), 1)
			pass(100 * time.Millisecond)
		}
		if n := b.local.count(); n != 0 {
			t.Fatalf("%d writes in the first second", n)
		}
		pass(time.Hour)
		if n := b.local.count(); n != 1 {
			t.Fatalf("%d writes for one burst", n)
		}
		b.Stop()
		if n := b.local.count(); n != 1 {
			t.Fatalf("%d writes after a stop with nothing to write", n)
		}
	})
}

// Values that cannot be written wait, within bounds, until the store accepts them again. Values from outside are
// refused meanwhile.
func TestFullStoreLosesNothingThatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		full := errors.New("no space")
		b.local.refuse(full)
		s := b.Series(named("m"), Count)
		at := b.hour()
		for i := range 30 {
			s.Add(at.Add(time.Duration(i%3)*time.Minute), 1)
			pass(500 * time.Millisecond)
		}
		for i := range maxOpen + 100 {
			s.Add(at.Add(time.Duration(i)*time.Minute), 1)
		}
		if n := b.backlog.Load(); n > maxOpen {
			t.Errorf("%d minutes wait", n)
		}
		refused := false
		for i := 0; i <= maxBacklog && !refused; i++ {
			refused = errors.Is(b.Put(named(fmt.Sprint("n", i)), Count, at, Value{1, 1}), full)
		}
		if !refused {
			t.Error("everything is taken from outside")
		}
		fresh := b.Series(named("fresh"), Count)
		fresh.Add(at, 7)
		b.local.refuse(nil)
		pass(2 * time.Second)
		if got := b.points(t, named("fresh"), at, time.Minute); len(got) != 1 || got[0].Sum != 7 {
			t.Error(got)
		}
		if n := b.backlog.Load(); n != 0 {
			t.Errorf("%d minutes still wait", n)
		}
	})
}

// Values past retention are not shown, their space is freed, and a metric that is used again starts over.
func TestRetentionGoesByTheClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.clock.Now()
	b.Series(named("old"), Count).Add(at, 1)
	b.Series(named("both"), Count).Add(at, 1)
	if got := b.points(t, named("old"), at.Truncate(time.Minute), time.Minute); len(got) != 1 {
		t.Fatal(got)
	}
	b.clock.SetOffset(Retention + time.Hour)
	if got := b.points(t, named("old"), at.Truncate(time.Minute), time.Minute); len(got) != 0 {
		t.Errorf("shown: %v", got)
	}
	b.Series(named("both"), Count).Add(b.clock.Now(), 2)
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	keys := 0
	_ = b.local.Scan([]byte("metric/"), nil, false, func(k, _ []byte) bool {
		keys++
		return true
	})
	if keys != 3 { // the next number, one series, one minute
		t.Errorf("%d keys are left", keys)
	}
	b.Series(named("old"), Count).Add(b.clock.Now(), 5)
	if got := b.points(t, named("old"), b.clock.Now().Truncate(time.Minute), time.Minute); len(got) != 1 ||
		got[0].Sum != 5 {
		t.Errorf("again: %v", got)
	}
}

// Metrics are listed in pages, without repeats for units, by namespace, name, dimension and when they were last
// recorded.
func TestListing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 7 {
		d := Dimension{"shop", fmt.Sprint(i)}
		b.Series(named("sold", d), Count).Add(b.clock.Now(), 1)
		b.Series(named("sold", d), Bytes).Add(b.clock.Now(), 1)
	}
	b.Series(named("sold"), Count).Add(b.clock.Now(), 1)
	other := named("sold")
	other.Namespace = "Other"
	b.Series(other, Count).Add(b.clock.Now(), 1)
	abroad := named("sold")
	abroad.Region = "eu-west-1"
	b.Series(abroad, Count).Add(b.clock.Now(), 1)

	base := Listing{Account: "000000000000", Region: "us-east-1", Limit: 3}
	var all []string
	l := base
	for pages := 0; ; pages++ {
		got, next, err := b.List(l)
		if err != nil || len(got) > 3 || pages > 5 {
			t.Fatal(got, next, err)
		}
		for _, id := range got {
			all = append(all, fmt.Sprint(id.Namespace, id.Dimensions))
		}
		if next == "" {
			break
		}
		if l.After = next; !l.MayFollow(next) {
			t.Errorf("%q may not follow", next)
		}
	}
	want := []string{
		"Other[]", "Shop[]", "Shop[{shop 0}]", "Shop[{shop 1}]", "Shop[{shop 2}]", "Shop[{shop 3}]", "Shop[{shop 4}]",
		"Shop[{shop 5}]", "Shop[{shop 6}]",
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	count := func(change func(*Listing)) int {
		l := base
		l.Limit = 100
		change(&l)
		got, _, err := b.List(l)
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	for want, change := range map[int]func(*Listing){
		8: func(l *Listing) { l.Namespace = "Shop" },
		9: func(l *Listing) { l.Name = "sold" },
		7: func(l *Listing) { l.Filters = []Filter{{Name: "shop"}} },
		1: func(l *Listing) { l.Filters = []Filter{{Name: "shop", Value: "3"}} },
		0: func(l *Listing) { l.Namespace, l.Name = "Shop", "sol" },
	} {
		if got := count(change); got != want {
			t.Errorf("%d instead of %d", got, want)
		}
	}
	b.clock.SetOffset(4 * time.Hour)
	b.Series(named("sold"), Count).Add(b.clock.Now(), 1)
	if got := count(func(l *Listing) { l.Since = b.clock.Now().Add(-3 * time.Hour) }); got != 1 {
		t.Errorf("%d were active in the last three hours", got)
	}
}

// Many goroutines record at once; no value is lost, even with readers at work.
func TestRecordingFromEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	s := b.Series(named("m"), Count)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				s.Add(at, 1)
				if i%100 == 0 {
					b.points(t, named("m"), at, time.Minute)
				}
			}
		})
	}
	wg.Wait()
	if got := b.points(t, named("m"), at, time.Minute); got[0].Count != 4000 || s.Total().Sum != 4000 {
		t.Errorf("%v; in all %v", got, s.Total())
	}
}

// A released series is no longer shown as ours; it stays readable, and late values are not lost.
func TestReleasedSeriesAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	shown := func() (n int) {
		b.Each(func(ID, string, Total) { n++ })
		return n
	}
	s := b.Series(named("m"), Count)
	s.Add(at, 1)
	if n := shown(); n != 1 {
		t.Errorf("%d series are shown", n)
	}
	s.Release()
	s.Add(at, 2)
	if n := shown(); n != 0 || len(b.known) != 0 {
		t.Errorf("%d series are shown, %d are known", n, len(b.known))
	}
	again := b.Series(named("m"), Count)
	again.Add(at, 4)
	s.Release() // of a series that is already forgotten
	if got := b.points(t, named("m"), at, time.Minute); shown() != 1 || again.Total().Sum != 4 || len(got) != 1 ||
		got[0].Sum != 7 {
		t.Errorf("%d shown, %v in all, %v", shown(), again.Total(), got)
	}
}

// A nil Store accepts and drops everything, for rooms without metrics.
func TestNoStoreTakesEverything(t *testing.T) {
	t.Parallel()
	var st *Store
	st.Of(Invocations, "a", "r").Add(time.Now(), 1)
	if st.PutEmbedded("a", "r", `{"_aws":{"CloudWatchMetrics":[]}}`, 0) {
		t.Error("recorded")
	}
}

// A damaged stored minute costs only itself.
func TestDamagedMinuteBeginsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	b.Series(named("m"), Count).Add(at, 1)
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	if err := b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{
		Key: pointKey(1, minuteOf(at)), Value: []byte("x"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Points(Query{ID: named("m"), Start: at, End: at.Add(time.Hour), Period: time.Minute}); !errors.Is(
		err, storage.ErrCorrupt,
	) {
		t.Errorf("read: %v", err)
	}
	b.Series(named("m"), Count).Add(at, 2)
	if got := b.points(t, named("m"), at, time.Minute); len(got) != 1 || got[0].Sum != 2 {
		t.Error(got)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	b := newBench(t)
	s := b.Series(named("m"), Milliseconds)
	at := b.clock.Now()
	for i := range 100 {
		s.Add(at, float64(i))
	}
	if n := testing.AllocsPerRun(1000, func() { s.Add(at, 42) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	bench := newBench(b)
	s := bench.Series(named("m"), Milliseconds)
	at := bench.clock.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			s.Add(at, float64(i%200))
		}
	})
}

// Whatever bytes the store holds, decoding gives a bucket or an error; and what was encoded comes back.
func FuzzDecodeBucket(f *testing.F) {
	var b bucket
	for i := range 20 {
		b.add(float64(i)*1.5-5, float64(i+1))
	}
	b.add(3, 0.5)
	f.Add(appendBucket(nil, &b))
	f.Add(appendBucket(nil, &bucket{}))
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, src []byte) {
		var b bucket
		if err := decodeBucket(src, &b); err != nil {
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		b.Percentile(50)
		var again bucket
		if err := decodeBucket(appendBucket(nil, &b), &again); err != nil {
			t.Fatal(err)
		}
	})
}

// Parsing a series' key gives what the key was made from.
func TestKeysComeBack(t *testing.T) {
	t.Parallel()
	for _, id := range []ID{
		named("m"), named("m", Dimension{"a", "b"}), named("m", Dimension{"a", "b"}, Dimension{"c", "\xc3\xa4"}),
	} {
		key := string(appendUnit(appendID(nil, id), Count))
		got, unit, n, ok := parseKey(key)
		if diff := cmp.Diff(id, got); diff != "" || unit != Count || !ok || key[:n] != strings.TrimSuffix(key, Count) {
			t.Errorf("%q: %s %q %d", key, diff, unit, n)
		}
	}
	for _, bad := range []string{"", "a", "a\x00b\x00c\x00d\x00", "a\x00b\x00c\x00d\x00e\x00"} {
		if _, _, _, ok := parseKey(bad); ok {
			t.Errorf("%q was taken apart", bad)
		}
	}
}
