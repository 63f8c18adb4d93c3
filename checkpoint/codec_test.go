package checkpoint

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

func position(t *rapid.T, name string) record.Position {
	return record.Position(rapid.Uint64Range(0, uint64(record.MaxPosition)).Draw(t, name))
}

// A checkpoint is one value: whatever the core puts in comes out, or a crash would skip work.
func TestCheckpointSurvivesEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := esm.Checkpoint{
			Low: position(t, "low"), Generation: rapid.Uint32().Draw(t, "generation"),
			Factor:     rapid.IntRange(0, 10).Draw(t, "factor"),
			MaxArrival: record.Millis(rapid.Int64Range(0, 1<<50).Draw(t, "arrival")),
			Ended:      rapid.Bool().Draw(t, "ended"),
			Batches:    rapid.Uint64().Draw(t, "batches"),
		}
		for i := range rapid.IntRange(0, 10).Draw(t, "lanes") {
			m := esm.LaneMark{Settled: position(t, "settled")}
			for range rapid.IntRange(0, 4).Draw(t, "plan") {
				m.Plan = append(m.Plan, esm.SegmentMark{
					ID: esm.BatchID{
						Generation: 3, Factor: in.Factor, Lane: i,
						First: position(t, "first"), Last: position(t, "last"),
						Filter: rapid.Uint64().Draw(t, "filter"),
					},
					First: position(t, "f"), Last: position(t, "l"), Batch: rapid.Uint64().Draw(t, "batch"),
					Parent: esm.Parent{
						Origin: esm.Origin(rapid.IntRange(0, int(esm.OriginWindow)).Draw(t, "origin")), Number: 5,
					},
					Failures: rapid.IntRange(0, 99).Draw(t, "failures"), Invocations: 7, Status: 200,
					FunctionError: rapid.SampledFrom([]string{"", "Unhandled"}).Draw(t, "error"), Version: "$LATEST",
				})
			}
			in.Lanes = append(in.Lanes, m)
		}
		if rapid.Bool().Draw(t, "in windows") {
			in.Window = &esm.WindowMark{
				Width: time.Duration(rapid.IntRange(1, 900).Draw(t, "width")) * time.Second, Start: 60_000,
				End:    record.Millis(rapid.Int64Range(60_001, 1<<50).Draw(t, "end")),
				Closed: 7, Early: rapid.Bool().Draw(t, "early"), Closing: rapid.Bool().Draw(t, "closing"),
				State: rapid.SampledFrom([]string{
					"", "{}", `{"n":1}`, strings.Repeat("x", maxInline),
				}).Draw(t, "state"),
				Failures: 2, Invocations: 3, Batch: 8,
			}
			if in.Window.Last = position(t, "last in it"); in.Window.Last != 0 {
				in.Window.First = record.Position(rapid.Uint64Range(1, uint64(in.Window.Last)).Draw(t, "first in it"))
			}
			if rapid.IntRange(0, 3).Draw(t, "closed") == 0 {
				in.Window = &esm.WindowMark{Width: time.Second, Closed: 60_000}
			}
		}

		out, epoch, apart, err := Decode(Append(nil, &in, 9))

		if err != nil || epoch != 9 || apart != 0 {
			t.Fatalf("epoch %d, %d bytes apart, err %v", epoch, apart, err)
		}
		if d := cmp.Diff(in, out); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(
		nil,
		&esm.Checkpoint{
			Low: 5, Factor: 2, Lanes: []esm.LaneMark{{Settled: 9}, {Plan: []esm.SegmentMark{{First: 6, Last: 7}}}},
		},
		1,
	))
	f.Add(Append(
		nil,
		&esm.Checkpoint{
			Low: 5, Factor: 1,
			Window: &esm.WindowMark{
				Width: time.Minute, Start: 60_000, End: 120_000, First: 1, Last: 5, State: `{"n":5}`,
			},
		},
		1,
	))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		cp, epoch, apart, err := Decode(b)
		if err != nil {
			return
		}
		if apart > 0 {
			cp.Window.State = strings.Repeat("x", apart)
			if apart <= maxInline { // smaller than any that we put beside a checkpoint
				apart = 0
			}
		}
		again, e, a, err := Decode(Append(nil, &cp, epoch))
		if a > 0 && a == apart {
			again.Window.State = cp.Window.State
		}
		if err != nil || e != epoch || !cmp.Equal(cp, again) {
			t.Fatalf("%+v came back as %+v (%v)", cp, again, err)
		}
	})
}

// docs/format/checkpoint.md shows these bytes. They are on disks: a change here needs a new version that reads the old
// one.
func TestBytesOfACheckpoint(t *testing.T) {
	t.Parallel()
	cp := esm.Checkpoint{
		Low: 300, Generation: 1, Factor: 2, MaxArrival: 1000,
		Lanes: []esm.LaneMark{{Settled: 305}, {Settled: 300, Plan: []esm.SegmentMark{{
			ID:    esm.BatchID{Generation: 1, Factor: 2, Lane: 1, First: 301, Last: 304, Filter: 200},
			First: 302, Last: 304, Failures: 1, Invocations: 2, Status: 200, Batch: 9,
			Parent:        esm.Parent{Origin: esm.OriginPartial, Number: 8},
			FunctionError: "Unhandled", Version: "$LATEST",
		}}}},
		Batches: 9,
	}

	got := hex.EncodeToString(Append(nil, &cp, 7))

	const want = "04" + "07" + "ac02" + "01" + "02" + "e807" + "00" + "09" + "02" + "b102" + "00" + "ac02" + "01" +
		"01" + "ad02" + "b002" + "c801" + "ae02" + "b002" + "09" + "03" + "08" + "01" + "02" + "c801" + "09556e68616e646c6564" + "0724" +
		"4c4154455354" + "00"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A value that the program could not have written is corrupt, never a checkpoint with numbers that wrapped around.
func TestImpossibleCheckpointsAreCorrupt(t *testing.T) {
	t.Parallel()
	const huge = "ffffffffffffffffff01" // 2⁶⁴-1
	for name, text := range map[string]string{
		"nothing":                        "",
		"a newer version":                "05",
		"an origin that is none":         "0307ac020102e80700" + "00" + "010001" + "000101" + "0101" + "000700" + "000000000000",
		"a window wider than any":        "0207ac020101e8070000" + "a1f736" + "000000000000000000",
		"a window that ends and begins":  "0207ac020101e8070000" + "e807" + "000505000000000000",
		"records in no window":           "0207ac020101e8070000" + "e807" + "000000000101000000",
		"a first record and no last":     "0207ac020101e8070000" + "e807" + "000507000100000000",
		"a window without its state":     "0207ac020101e8070000" + "e807" + "000000000000000005",
		"a state beyond the limit":       "0207ac020101e8070000" + "e807" + "040000000000000081808001",
		"the head alone":                 "01",
		"a position beyond the last":     "0107" + huge + "0102e8070000",
		"a generation beyond 32 bits":    "0107ac02" + huge + "02e8070000",
		"a factor that wraps around":     "0107ac0201" + huge + "e8070000",
		"an arrival that wraps around":   "0107ac020102" + huge + "0000",
		"an end that is neither":         "0107ac020102e8070200",
		"more lanes than there can be":   "0107ac020102e8070041",
		"lanes that are not there":       "0107ac020102e8070002",
		"bytes behind the end":           "0107ac020102e807000000",
		"a text longer than the value":   "0107ac020102e807000100010100000000000000" + "ff01",
		"a number without its last byte": "0107ac020102e80700ff",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, _, _, err := Decode(b); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Version 1 had no windows; what it wrote is read as it was meant.
func TestCheckpointsOfVersion1AreRead(t *testing.T) {
	t.Parallel()
	b, err := hex.DecodeString("0107ac020102e8070002" + "b10200" + "0000")
	if err != nil {
		t.Fatal(err)
	}

	cp, epoch, _, err := Decode(b)

	want := esm.Checkpoint{
		Low: 300, Generation: 1, Factor: 2, MaxArrival: 1000, Lanes: []esm.LaneMark{{Settled: 305}, {}},
	}
	if d := cmp.Diff(want, cp); d != "" || epoch != 7 || err != nil {
		t.Errorf("epoch %d, err %v\n%s", epoch, err, d)
	}
}

// Version 2 had no numbers of batches; what it wrote is read as it was meant.
func TestCheckpointsOfVersion2AreRead(t *testing.T) {
	t.Parallel()
	b, err := hex.DecodeString("0207ac020001c8dc0300" + "01" + "0001" + "00c901ac02" + "c901ac02" + "0102c8010000" +
		"e0d40302e0d403c0a907e0d403c801ac02010207" + "7b226e223a357d")
	if err != nil {
		t.Fatal(err)
	}

	cp, epoch, _, err := Decode(b)

	want := esm.Checkpoint{
		Low: 300, Factor: 1, MaxArrival: 61_000,
		Lanes: []esm.LaneMark{{Plan: []esm.SegmentMark{{
			ID:    esm.BatchID{Factor: 1, First: 201, Last: 300, Filter: esm.FilterUnknown},
			First: 201, Last: 300, Failures: 1, Invocations: 2, Status: 200,
		}}}},
		Window: &esm.WindowMark{
			Width: time.Minute, Start: 60_000, End: 120_000, Closed: 60_000, First: 200, Last: 300, Closing: true,
			State: `{"n":5}`, Failures: 1, Invocations: 2,
		},
	}
	if d := cmp.Diff(want, cp); d != "" || epoch != 7 || err != nil {
		t.Errorf("epoch %d, err %v\n%s", epoch, err, d)
	}
}

// Version 3 did not say which filter had cut a batch; what it wrote is read as it was meant.
func TestCheckpointsOfVersion3AreRead(t *testing.T) {
	t.Parallel()
	b, err := hex.DecodeString("0307ac020102e8070009" + "02" + "b10200" + "ac0201" + "01ad02b002" + "ae02b002" + "090308" +
		"0102c801" + "09556e68616e646c6564" + "07244c4154455354" + "00")
	if err != nil {
		t.Fatal(err)
	}

	cp, epoch, _, err := Decode(b)

	want := esm.Checkpoint{
		Low: 300, Generation: 1, Factor: 2, MaxArrival: 1000, Batches: 9,
		Lanes: []esm.LaneMark{{Settled: 305}, {Settled: 300, Plan: []esm.SegmentMark{{
			ID:    esm.BatchID{Generation: 1, Factor: 2, Lane: 1, First: 301, Last: 304, Filter: esm.FilterUnknown},
			First: 302, Last: 304, Failures: 1, Invocations: 2, Status: 200, Batch: 9,
			Parent:        esm.Parent{Origin: esm.OriginPartial, Number: 8},
			FunctionError: "Unhandled", Version: "$LATEST",
		}}}},
	}
	if d := cmp.Diff(want, cp); d != "" || epoch != 7 || err != nil {
		t.Errorf("epoch %d, err %v\n%s", epoch, err, d)
	}
}

// docs/format/checkpoint.md shows these bytes too.
func TestBytesOfAWindow(t *testing.T) {
	t.Parallel()
	cp := esm.Checkpoint{Low: 300, Factor: 1, MaxArrival: 61_000, Window: &esm.WindowMark{
		Width: time.Minute, Start: 60_000, End: 120_000, Closed: 60_000, First: 200, Last: 300, Closing: true,
		State: `{"n":5}`, Failures: 1, Invocations: 2, Batch: 12,
	}, Batches: 12}

	got := hex.EncodeToString(Append(nil, &cp, 7))

	const want = "04" + "07" + "ac02" + "00" + "01" + "c8dc03" + "00" + "0c" + "00" +
		"e0d403" + "02" + "e0d403" + "c0a907" + "e0d403" + "c801" + "ac02" + "01" + "02" + "0c" +
		"07" + "7b226e223a357d"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
