package sourcetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

var formatTests = []test{
	{"payloads of what was read are as long as the sizes say", formats},
}

const role = "arn:aws:iam::000000000000:role/r"

func formats(t *testing.T, b *bench) {
	b.Put(numbered("a", 40)...)
	b.Put(record.Record{Key: "\"quoted\" \\ \u2028 \x01", Data: []byte{0, 255}}, record.Record{Key: "é", Data: nil})
	b.shards() // a Format is requested only after its shard is listed
	records := b.whole(0).records
	f := b.Format(first, role)
	for i := range records {
		for _, w := range []*source.Window{nil, {Start: 1_700_000_000_000, End: 1_700_000_060_000, State: `{"n":1}`}} {
			if err := CheckFormat(f, records[:i+1], w, b.Items); err != nil {
				t.Fatal(err)
			}
		}
	}
	RunFormat(t, f, b.Items)
}

// RunFormat tests a format with any records. items returns the identifiers that a function finds in a payload, in
// order.
func RunFormat(t *testing.T, f source.Format, items func(payload []byte) ([]string, error)) {
	rapid.Check(t, func(t *rapid.T) {
		pos := record.Position(0)
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record.Record {
			pos += record.Position(rapid.Uint64Range(1, 1<<40).Draw(t, "step"))
			return record.Record{
				Pos: pos, Arrival: record.Millis(rapid.Int64Range(0, 4e12).Draw(t, "arrival")),
				Key: rapid.OneOf(
					rapid.String(), rapid.Just("\xff\xc0k"), rapid.StringMatching(`["\\\x00-\x1f\x{80}-\x{ffff}]{1,8}`),
				).Draw(t, "key"),
				Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			}
		}), 1, 6).Draw(t, "records")
		var w *source.Window
		if rapid.Bool().Draw(t, "in a window") {
			start := record.Millis(rapid.Int64Range(0, 4e9).Draw(t, "start") * 1000)
			w = &source.Window{
				Start: start, End: start + 60_000,
				State: `{"n":"` + strings.Repeat("1", rapid.IntRange(0, 9).Draw(t, "state")) + `"}`,
			}
			switch rapid.IntRange(0, 4).Draw(t, "end") {
			case 0:
				w.Final, records = true, nil
			case 1:
				w.Early, records = true, nil
			}
		}
		if err := CheckFormat(f, records, w, items); err != nil {
			t.Fatal(err)
		}
	})
}

// CheckFormat returns what is wrong with the payload that f makes of records of one shard, or nil. Without records w
// ends a window. The core keeps the payload limit by these sizes, and settles a part of a batch by these identifiers.
func CheckFormat(
	f source.Format, records []record.Record, w *source.Window, items func(payload []byte) ([]string, error),
) error {
	const before = "what was there"
	payload, whole := bytes.CutPrefix(f.AppendPayload([]byte(before), records, w), []byte(before))
	if !whole {
		return fmt.Errorf("a payload takes the place of what was there: %.60q", payload)
	}
	sum := f.Envelope()
	switch {
	case w != nil && len(records) == 0:
		sum = f.Recordless() + len(w.State)
	case w != nil:
		sum += f.Windowed() + len(w.State)
	}
	var want []string
	for i := range records {
		sum += f.RecordSize(&records[i])
		id := f.Identifier(&records[i])
		if slices.Contains(want, id) {
			return fmt.Errorf("two records of a shard have the identifier %s", id)
		}
		want = append(want, id)
	}
	if sum != len(payload) {
		return fmt.Errorf(
			"sizes say %d bytes, and the payload of %d records has %d: %.200q", sum, len(records), len(payload),
			payload,
		)
	}
	if items != nil {
		got, err := items(payload)
		if err != nil {
			return fmt.Errorf("a function cannot read the payload: %w: %.200q", err, payload)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("a function finds the identifiers %q, and they are %q", got, want)
		}
	}
	if len(records) == 0 {
		return nil
	}
	if info := f.Batch(&records[0], &records[len(records)-1], len(records)); info.Member == "" ||
		!json.Valid(info.JSON) {
		return fmt.Errorf("a notice would hold %q: %q", info.Member, info.JSON)
	}
	return nil
}
