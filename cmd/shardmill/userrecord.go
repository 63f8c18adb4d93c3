package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/shardmill/shardmill/internal/kpl"
)

// tailRecord is a record as tail shows it: one of a stream, or a user record of an aggregate.
type tailRecord struct {
	Shard                       string
	SequenceNumber              string
	SubSequenceNumber           *int `json:",omitempty"` // of a user record in its aggregate
	PartitionKey                string
	ExplicitHashKey             string `json:",omitempty"` // of a user record
	ApproximateArrivalTimestamp float64
	Encoding                    string          `json:",omitempty"` // gzip: Data is what was in it
	Data                        []byte          // base64 in JSON
	JSON                        json.RawMessage `json:",omitempty"` // Data, if it is an object or an array
}

// gunzipMost is how much of what gzip has packed is unpacked; beyond it data is shown as it is.
const gunzipMost = 64 << 20

// opened returns what is in a record: the user records of an aggregate, or the record itself, unpacked if gzip has
// packed it. What cannot be read is shown as it is.
func opened(r tailRecord) iter.Seq[tailRecord] {
	return func(yield func(tailRecord) bool) {
		a, ok := kpl.Open(r.Data)
		if !ok || a.Len() == 0 { // an empty aggregate would not be seen at all
			yield(unpacked(r))
			return
		}
		n := 0
		for user := range a.All() {
			one, sub := r, n
			one.SubSequenceNumber, one.PartitionKey, one.Data = &sub, user.Key, user.Data
			if user.Explicit {
				one.ExplicitHashKey = user.Hash.String()
			}
			if !yield(unpacked(one)) {
				return
			}
			n++
		}
	}
}

func unpacked(r tailRecord) tailRecord {
	if b, ok := gunzip(r.Data); ok {
		r.Data, r.Encoding = b, "gzip"
	}
	b := bytes.TrimSpace(r.Data)
	if len(b) > 0 && (b[0] == '{' || b[0] == '[') && utf8.Valid(b) && json.Valid(b) {
		r.JSON = b
	}
	return r
}

// gunzip returns what gzip has packed, whole; ok is false if b is not that, is damaged, or holds too much.
func gunzip(b []byte) (out []byte, ok bool) {
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return nil, false
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, false
	}
	out, err = io.ReadAll(io.LimitReader(z, gunzipMost+1))
	return out, err == nil && len(out) <= gunzipMost
}
