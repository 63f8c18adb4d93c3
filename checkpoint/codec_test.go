package checkpoint

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

func position(t *rapid.T, name string) record.Position {
	return record.Position(rapid.Uint64Range(0, uint64(record.MaxPosition)).Draw(t, name))
}

// A checkpoint is one value: whatever the core puts in comes out, or a crash would skip work.
func TestCheckpointSurvivesEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := esm.Checkpoint{
			Low: position(t, "low"), Generation: rapid.Uint32().Draw(t, "generation"), Factor: rapid.IntRange(0, 10).Draw(t, "factor"),
			MaxArrival: record.Millis(rapid.Int64Range(0, 1<<50).Draw(t, "arrival")), Ended: rapid.Bool().Draw(t, "ended"),
		}
		for i := range rapid.IntRange(0, 10).Draw(t, "lanes") {
			m := esm.LaneMark{Settled: position(t, "settled")}
			for range rapid.IntRange(0, 4).Draw(t, "plan") {
				m.Plan = append(m.Plan, esm.SegmentMark{
					ID:    esm.BatchID{Generation: 3, Lane: i, First: position(t, "first"), Last: position(t, "last")},
					First: position(t, "f"), Last: position(t, "l"), Failures: rapid.IntRange(0, 99).Draw(t, "failures"), Invocations: 7, Status: 200,
					FunctionError: rapid.SampledFrom([]string{"", "Unhandled"}).Draw(t, "error"), Version: "$LATEST",
				})
			}
			in.Lanes = append(in.Lanes, m)
		}

		out, epoch, err := Decode(Append(nil, &in, 9))

		if err != nil || epoch != 9 {
			t.Fatalf("epoch %d, err %v", epoch, err)
		}
		if d := cmp.Diff(in, out); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, &esm.Checkpoint{Low: 5, Factor: 2, Lanes: []esm.LaneMark{{Settled: 9}, {Plan: []esm.SegmentMark{{First: 6, Last: 7}}}}}, 1))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		cp, epoch, err := Decode(b)
		if err != nil {
			return
		}
		again, e, err := Decode(Append(nil, &cp, epoch))
		if err != nil || e != epoch || !cmp.Equal(cp, again) {
			t.Fatalf("%+v came back as %+v (%v)", cp, again, err)
		}
	})
}
