package kinesis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// Bounds of PutRecords.
const (
	maxEntries = 500
	maxData    = 10 << 20 // of one record in the model; the stream's own limit is usually lower
)

// entry is one record of a put request. nil: absent; empty slices are present.
type entry struct{ data, key, hash []byte }

// putRecordsInput is PutRecords decoded. entries holds at most one more than allowed; count is how many were sent.
type putRecordsInput struct {
	entries   []entry
	present   bool
	count     int
	name, arn *string
}

// putRecords serves PutRecords. Well-formed requests of the common kind have a decoder of their own, which needs no
// other check.
func (h *handler) putRecords(ctx context.Context, c *call) error {
	d := c.in.decoder()
	defer d.release()
	in, ok := d.putRecords(c.body)
	if !ok {
		var err error
		if in, err = decodePutRecords(c); err != nil {
			return err
		}
	}
	return h.finishPutRecords(ctx, c, &in)
}

// decodePutRecords decodes any PutRecords, or returns what is wrong with it.
func decodePutRecords(c *call) (in putRecordsInput, err error) {
	f := c.request("Records", "StreamName", "StreamARN", "DryRun")
	in.present = f.list("Records", func(v value) {
		in.count++
		e := entry{}
		if !v.isNull() {
			if nested := f.nested(v, []string{"Data", "PartitionKey", "ExplicitHashKey"}); nested != nil {
				e = nested.entry()
			}
		}
		if len(in.entries) <= maxEntries {
			in.entries = append(in.entries, e)
		}
	})
	in.name, in.arn = f.str("StreamName"), f.str("StreamARN")
	f.refuseDryRun()
	return in, *f.err
}

// entry reads the members of one record.
func (f *fields) entry() (e entry) {
	if data, present := f.blob("Data"); present {
		e.data = append([]byte{}, data...) // never nil
	}
	if key := f.str("PartitionKey"); key != nil {
		e.key = append([]byte{}, *key...)
	}
	if hash := f.str("ExplicitHashKey"); hash != nil {
		e.hash = append([]byte{}, *hash...)
	}
	return e
}

// check collects what an entry violates; path is "" or ends in a dot.
func (e *entry) check(v *constraints, path string) {
	switch {
	case e.data == nil:
		v.Null(path + "data")
	case len(e.data) > maxData:
		v.Hidden(path+"data", "Member must have length less than or equal to "+strconv.Itoa(maxData))
	}
	switch {
	case e.key == nil:
		v.Null(path + "partitionKey")
	case len(e.key) < 1 || len(e.key) > 256 && utf8.RuneCount(e.key) > 256:
		v.length(path+"partitionKey", string(e.key), 1, 256)
	}
	if e.hash != nil && !isDecimal(e.hash, 39) {
		v.Add(
			path+"explicitHashKey", clip(string(e.hash)),
			"Member must satisfy regular expression pattern: "+hashPattern.text,
		)
	}
}

// valid reports whether check finds nothing; it needs no path.
func (e *entry) valid() bool {
	return e.data != nil && len(e.data) <= maxData && len(e.key) > 0 &&
		(len(e.key) <= 256 || utf8.RuneCount(e.key) <= 256) &&
		(e.hash == nil || isDecimal(e.hash, 39))
}

func (in *putRecordsInput) check() error {
	var v constraints
	switch {
	case !in.present:
		v.Null("records")
	case in.count < 1:
		v.Hidden("records", "Member must have length greater than or equal to 1")
	case in.count > maxEntries:
		v.Hidden("records", fmt.Sprintf("Member must have length less than or equal to %d", maxEntries))
	}
	for i := range in.entries {
		if !in.entries[i].valid() {
			in.entries[i].check(&v, fmt.Sprintf("records.%d.member.", i+1))
		}
	}
	v.name("streamName", in.name, optional)
	v.streamARN(in.arn, optional)
	return v.Err()
}

// records turns checked entries into records; bad is the first explicit hash key beyond the hash key space.
func (in *putRecordsInput) records() (recs []record.Record, bad string) {
	keyBytes := 0
	for i := range in.entries {
		keyBytes += len(in.entries[i].key)
	}
	var all strings.Builder // one string for all keys
	all.Grow(keyBytes)
	for i := range in.entries {
		all.Write(in.entries[i].key)
	}
	keys := all.String()
	recs = make([]record.Record, len(in.entries))
	for i := range in.entries {
		e, r := &in.entries[i], &recs[i]
		r.Key, keys = keys[:len(e.key)], keys[len(e.key):]
		r.Data = e.data
		if e.hash != nil {
			var ok bool
			if r.Hash, ok = record.ParseHashKey(string(e.hash)); !ok {
				return nil, string(e.hash)
			}
			r.Explicit = true
		}
	}
	return recs, ""
}

func (h *handler) finishPutRecords(ctx context.Context, c *call, in *putRecordsInput) error {
	if err := in.check(); err != nil {
		return err
	}
	target, err := c.address(in.name, in.arn)
	if err != nil {
		return err
	}
	recs, bad := in.records()
	if bad != "" {
		return h.streams.RefuseHashKey(ctx, target, bad)
	}
	placed, err := h.streams.PutRecords(ctx, target, recs)
	if err != nil {
		return err
	}
	failed, encrypted := 0, false
	w := c.in
	out := w.beginList(w.name(w.beginMap(c.out), "Records"))
	for i := range placed {
		out = w.beginMap(w.element(out))
		if f := placed[i].Fault; f != nil {
			failed++
			if c.hint == "" {
				c.hint = f.Hint
			}
			out = w.string(w.name(out, "ErrorCode"), f.Code)
			out = w.string(w.name(out, "ErrorMessage"), f.Message)
		} else {
			out = w.place(out, &placed[i])
			encrypted = encrypted || placed[i].Encrypted
		}
		out = w.endMap(out)
	}
	out = w.number(w.name(w.endList(out), "FailedRecordCount"), int64(failed))
	if encrypted {
		out = w.string(w.name(out, "EncryptionType"), string(stream.KMS))
	}
	c.out = w.endMap(out)
	return nil
}
