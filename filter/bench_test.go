package filter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/filter"
)

// order is a record of 1 KB as shops put them: 30 fields of words, numbers and two objects.
func order(status string, price float64) []byte {
	b := strings.Builder{}
	fmt.Fprintf(&b, `{"id":"0f8fad5b-d9cb-469f-a165-70867728950e","status":%q,"customer":{"id":4711,"country":"DE","name":"Anna Smith",`+
		`"email":"anna.smith@example.com","vip":false},"price":%.2f,"currency":"EUR","items":[`, status, price)
	for i := range 6 {
		fmt.Fprintf(&b, `{"sku":"SKU-%05d","quantity":%d,"price":%d.99,"name":"article number %d"},`, i*7919, i+1, 10*i, i)
	}
	text := strings.TrimSuffix(b.String(), ",") + `],"created":"2026-01-31T12:34:56.789Z","source":"web","note":"`
	return []byte(text + strings.Repeat("a note, ", (1024-len(text)-2)/8) + `"}`)
}

const threeConditions = `{"data":{"status":["paid","shipped"],"price":[{"numeric":[">",100]}],"customer":{"country":[{"anything-but":["US"]}]}}}`

// The figure to hold is 1,000,000 records a second and core, and no allocation.
func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct {
		name, pattern string
		data          []byte
		want          bool
	}{
		{"three conditions hold", threeConditions, order("paid", 120), true},
		{"the first fails", threeConditions, order("open", 120), false},
		{"in a list", `{"data":{"items":{"sku":["SKU-39595"],"quantity":[6]}}}`, order("paid", 120), true},
		{
			"metadata decides", `{"partitionKey":[{"prefix":"vendor-"}],"data":{"status":["paid"]}}`, order("paid", 120),
			false,
		},
		{"metadata only", `{"partitionKey":[{"prefix":"customer-"}]}`, order("paid", 120), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			f, err := filter.Compile([]string{c.pattern})
			if err != nil {
				b.Fatal(err)
			}
			m := f.Matcher()
			metadata := []byte(`{"kinesisSchemaVersion":"1.0","partitionKey":"customer-4711"}`)
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				if m.Match(metadata, c.data) != c.want {
					b.Fatal(f.Explain(metadata, c.data))
				}
			}
		})
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	f, err := filter.Compile([]string{
		threeConditions, `{"partitionKey":["x"],"data":{"status":["\u00e9"],"items":{"name":[{"wildcard":"*numb*9"}]}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	m, metadata, data := f.Matcher(), []byte(`{"partitionKey":"\u0078"}`), order("open", 99)
	m.Match(metadata, data)
	if n := testing.AllocsPerRun(100, func() { m.Match(metadata, data) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
