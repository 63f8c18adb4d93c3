package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// monitored returns a stream of one shard in a room that measures, and a summary of what its shards have measured:
// one "NAME SHARD sum/values" for each series that is held.
func monitored(t *testing.T) (b *bench, shown func() []string) {
	b, st := metered(t)
	b.create(orders, 1)
	return b, func() (all []string) {
		st.Each(func(id metric.ID, _ string, total metric.Total) {
			for _, d := range id.Dimensions {
				if shard, ok := strings.CutPrefix(d.Value, "shardId-00000000000"); ok && d.Name == metric.ShardID {
					all = append(all, fmt.Sprintf("%s %s %g/%g", id.Name, shard, total.Sum, total.Count))
				}
			}
		})
		slices.Sort(all)
		return all
	}
}

func (b *bench) monitor(add, remove ShardMetrics) {
	b.Helper()
	_, _, err := b.s.Monitor(b.ctx, orders, add, remove)
	b.must(err)
}

func (b *bench) shows(shown func() []string, want ...string) {
	b.Helper()
	if got := shown(); !slices.Equal(got, want) {
		b.Errorf("got %q\nwant %q", got, want)
	}
}

// The metrics that are asked for are measured for each shard from then on: puts by the shard they reach, reads of
// clients and of mappings.
func TestShardsAreMeasuredWhenAskedFor(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	b.put(orders, "before")
	b.shows(shown)
	b.monitor(ShardIncomingBytes|ShardOutgoingRecords, 0)
	b.put(orders, "a", "bb")
	read := func(shard record.ShardID, from record.Position) {
		t.Helper()
		limit := storage.Limit{Records: 10, Bytes: 1 << 20}
		_, _, err := b.s.Poll(b.ctx, b.lookup(orders).ID, shard, from, limit, func(record.Record) {})
		b.must(err)
	}
	read(0, 1)
	b.shows(shown, "IncomingBytes 0 22/1", "OutgoingRecords 0 3/1")

	b.monitor(AllShardMetrics, 0)
	b.split(orders, 0)
	b.advance(5 * time.Second)
	b.put(orders, "a", "b", "c", "d") // MD5 sends them to both halves
	read(1, 1)
	read(2, 1)
	iterator, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "shardId-000000000000", Type: IterTrimHorizon})
	b.must(err)
	_, err = b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: iterator}, func(*ShardInfo) {}, func(record.Record) {})
	b.must(err)
	got := shown()
	sums := map[string]float64{}
	for _, one := range got {
		var name, shard string
		var sum, n float64
		if _, err := fmt.Sscanf(strings.ReplaceAll(one, "/", " "), "%s %s %g %g", &name, &shard, &sum, &n); err != nil {
			t.Fatal(one, err)
		}
		sums[name] += sum
		if shard != "0" && n != 1 {
			t.Errorf("%s: %g values, want 1", one, n)
		}
	}
	if len(got) != 5+2*7 { // shard 0: what its reads measure, and the bytes of its put
		t.Errorf("%d series: %q", len(got), got)
	}
	for name, want := range map[string]float64{
		"IncomingRecords": 4, "IncomingBytes": 22 + 4*10, "OutgoingRecords": 3 + 3 + 4, "WriteProvisionedThroughputExceeded": 0,
		"ReadProvisionedThroughputExceeded": 0,
	} {
		if sums[name] != want {
			t.Errorf("%s: %g, want %g", name, sums[name], want)
		}
	}
	if age := sums["IteratorAgeMilliseconds"]; age < 5000 || age > 60_000 {
		t.Errorf("ages of %g ms: the parent's last record is five seconds old", age)
	}
}

// A read that failed was not refused for its rate, and brought nothing: of its shard it measures just that.
func TestAFailedReadOfAShardIsMeasured(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	b.monitor(AllShardMetrics, 0)

	b.s.measureRead(b.s.byName[orders].snap.Load(), 0, &reading{began: time.Now()}, errDied)

	b.shows(shown, "ReadProvisionedThroughputExceeded 0 0/1")
}

// A shard that has taken none of a put's records measures those that it refused, and no bytes.
func TestARefusedPutOfAShardIsMeasured(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	b.monitor(AllShardMetrics, 0)
	placed := []Placed{{Fault: &fault.Error{Code: codeThrottled}}, {Fault: &fault.Error{Code: codeInternal}}}

	b.s.measurePut(b.s.byName[orders].snap.Load(), true, make([]record.Record, 2), placed, time.Now())

	b.shows(shown, "WriteProvisionedThroughputExceeded 0 1/1")
}

// Who measures a stream first may have looked at it before what is measured was changed.
func TestTheFirstMeasureIsLate(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	old := b.s.byName[orders].snap.Load()
	b.monitor(ShardIncomingRecords, 0)

	b.s.measurePut(old, false, make([]record.Record, 1), make([]Placed, 1), time.Now())
	b.put(orders, "a")

	b.shows(shown, "IncomingRecords 0 1/1")
}

// What is no longer asked for is no longer measured, and its series are given back; so are those of shards that have
// expired, and of streams that are deleted.
func TestShardsAreNoLongerMeasured(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	b.monitor(ShardIncomingBytes|ShardIncomingRecords, 0)
	b.put(orders, "a")
	b.monitor(0, ShardIncomingBytes)
	b.shows(shown, "IncomingRecords 0 1/1")
	b.put(orders, "a")
	b.shows(shown, "IncomingRecords 0 2/2")

	b.split(orders, 0)
	b.advance(DefaultRetention + time.Hour)
	sn := b.s.byName[orders].snap.Load()
	b.s.expire(b.ctx, sn, b.s.now())
	b.shows(shown)

	b.put(orders, "a")
	if got := shown(); len(got) != 1 {
		t.Errorf("children are measured as %q", got)
	}
	b.monitor(0, AllShardMetrics)
	b.put(orders, "a")
	b.shows(shown)
	b.monitor(AllShardMetrics, 0)
	b.put(orders, "a")
	b.must(b.s.Delete(b.ctx, orders))
	b.shows(shown)
}

// What is measured for shards outlives the process.
func TestMonitoringIsASetting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	before, after, err := b.s.Monitor(b.ctx, orders, ShardIteratorAge|ShardIncomingBytes, 0)
	if err != nil || before != 0 || after != ShardIteratorAge|ShardIncomingBytes {
		t.Errorf("from %v to %v, %v", before.Names(), after.Names(), err)
	}
	b.reopen()
	if got := b.lookup(orders).Monitored; got != after {
		t.Errorf("after a restart %v", got.Names())
	}
}
