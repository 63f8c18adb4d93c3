package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// copied returns a copy of a committed data directory.
func copied(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A data directory that the first program left is whole, and everything in it is served. testdata/data-1 was written
// on 2026-11-30 by the program of commit cf4617e, with boto3: a stream of two shards that were merged, ten records
// before that and ten after, a function with a version and an alias, a mapping that has read all records, a queue, a
// table, a bucket, a topic, a role, a log group. A change of a format that this test notices needs code that reads the
// old one; it never needs another fixture in the place of this one.
func TestADataDirectoryOfTheFirstProgramIsServed(t *testing.T) {
	t.Parallel()
	dir := copied(t, "data-1")
	if found, c := findings(t, dir); len(found) > 0 || c.Records != 20 || c.Shards != 3 {
		t.Errorf("in %+v the check found %q", c, found)
	}
	if got := records(t, dir); len(got) != 20 || !strings.HasPrefix(got[0], "before-") || got[19] != "after-9" {
		t.Errorf("its records are %q", got)
	}

	b := start(t, Config{Data: dir})

	s3, json10 := fmt.Sprintf(signature, "s3"), "application/x-amz-json-1.0"
	for _, c := range []struct {
		what   string
		answer string
		want   []string
	}{
		{
			"the stream", b.ok(b.kinesis("DescribeStreamSummary", `{"StreamName":"orders"}`)),
			[]string{`"RetentionPeriodHours":48`, `"OpenShardCount":1`, `"StreamStatus":"ACTIVE"`},
		},
		{"its tags", b.ok(b.kinesis("ListTagsForStream", `{"StreamName":"orders"}`)), []string{`"team"`, `"till"`}},
		{
			"the function", b.ok(b.lambda("GET", "/2015-03-31/functions/count:live", "")),
			[]string{`"FunctionName":"count"`, `"Version":"1"`},
		},
		{
			"the mapping", b.ok(b.lambda("GET", "/2015-03-31/event-source-mappings", "")),
			[]string{`"BisectBatchOnFunctionError":true`, `"LastProcessingResult":"OK"`},
		},
		{"the queue", b.ok(b.call("AmazonSQS.ListQueues", json10, `{}`)), []string{"/000000000000/failures"}},
		{
			"the item", b.ok(b.call("DynamoDB_20120810.GetItem", json10, `{"TableName":"carts","Key":{"k":{"S":"a"}}}`)),
			[]string{`"42"`},
		},
		{"the object", b.ok(b.do("GET", "/things/a/b.txt", "", "Authorization", s3)), []string{"hello"}},
		{"the role", b.ok(b.call("", formType, rolesForm)), []string{"<RoleName>r</RoleName>"}},
		{
			"the topic", b.ok(b.call("", formType, "Action=ListTopics&Version=2010-03-31")),
			[]string{"arn:aws:sns:us-east-1:000000000000:news"},
		},
		{
			"the log group", b.ok(b.call("Logs_20140328.DescribeLogGroups", "application/x-amz-json-1.1", `{}`)),
			[]string{`"logGroupName":"g"`},
		},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.answer, want) {
				t.Errorf("%s has no %s: %s", c.what, want, c.answer)
			}
		}
	}
	b.put("another")
	b.stopNow()
	if found, _ := findings(t, dir); len(found) > 0 {
		t.Errorf("after this program has used it, the check found %q", found)
	}
}

// records returns the data of all records of stream 1, whatever retention says of their age.
func records(t *testing.T, dir string) (all []string) {
	t.Helper()
	s, err := pebble.Open(pebble.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	for index := range record.ShardID(3) {
		_, _, err := s.Log().Scan(
			t.Context(), storage.Shard{Stream: 1, Index: index}, 1, storage.Limit{},
			func(r record.Record) { all = append(all, string(r.Data)) },
		)
		if err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// What a newer program wrote is refused by a start and by a check, with what to do, and not changed.
func TestADataDirectoryOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"the store": {func(t *testing.T, dir string) {
			db, err := crdb.Open(filepath.Join(dir, "store"), &crdb.Options{
				FormatMajorVersion: crdb.FormatValueSeparation, Logger: quiet{},
			})
			if err == nil {
				err = errors.Join(
					db.Set([]byte("\x01format"), binary.LittleEndian.AppendUint32(nil, 99), crdb.Sync), db.Close(),
				)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "format version 99 is newer than this program's 1: use a newer program"},
		"a stream": {
			rewrite("stream/name/000000000000/us-east-1/orders", `"v":1`, `"v":99`), "format version 99 is not known here",
		},
		"a function": {
			rewrite("function/000000000000/us-east-1/count", `"Format":2`, `"Format":99`),
			"format 99 is newer than this program",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, "data-1")
			c.change(t, dir)

			s, err := New(Config{Data: dir})
			if err == nil {
				err = s.Start(t.Context())
			}

			var data *DataError
			if !errors.As(err, &data) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("started: %v", err)
			}
			if !strings.Contains(data.Hint+data.Error(), "newer") {
				t.Errorf("it does not say what to do: %v; %s", data, data.Hint)
			}
		})
	}
}

// rewrite changes a small value.
func rewrite(key, from, to string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		s, err := pebble.Open(pebble.Options{Dir: filepath.Join(dir, "store")})
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Coord().Get(t.Context(), key)
		if err != nil || !strings.Contains(string(e.Value), from) {
			t.Fatalf("%s is %q, %v", key, e.Value, err)
		}
		op := storage.Op{Key: key, Value: []byte(strings.Replace(string(e.Value), from, to, 1)), Expect: e.Revision}
		_, err = s.Coord().Commit(t.Context(), "", op)
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
