package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/storage/pebble"
)

// findings checks a directory that no server uses.
func findings(t *testing.T, dir string) (found []string, contents pebble.Contents) {
	t.Helper()
	contents, err := Check(t.Context(), dir, slog.New(slog.DiscardHandler), func(f pebble.Finding) {
		found = append(found, f.Where+": "+f.What)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, contents
}

func (b *bench) backup(to string) (a control.BackupAnswer) {
	b.Helper()
	answer := b.ok(b.control("POST", control.PathBackup, `{"to":"`+to+`"}`))
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		b.Fatal(err)
	}
	return a
}

// A backup is taken from a running server while records come, is found whole, and a server that starts on it has what
// was acknowledged before: records, functions, objects, items. The server that was copied goes on.
func TestABackupOfARunningServerIsRestored(t *testing.T) {
	t.Parallel()
	s3 := fmt.Sprintf(signature, "s3")
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	b := start(t, Config{Data: dir})
	b.pipeline()
	b.ok(b.do("PUT", "/things", "", "Authorization", s3))
	b.ok(b.do("PUT", "/things/a", "hello", "Authorization", s3, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"))
	b.ok(b.call("Logs_20140328.CreateLogGroup", "application/x-amz-json-1.1", `{"logGroupName":"g"}`))
	for i := range 20 {
		b.put(fmt.Sprint("before-", i))
	}

	var busy sync.WaitGroup
	busy.Go(func() {
		for i := range 20 {
			b.put(fmt.Sprint("during-", i))
		}
	})
	a := b.backup(to)
	busy.Wait()
	b.ok(b.lambda("DELETE", "/2015-03-31/functions/f", ""))
	b.ok(b.do("DELETE", "/things/a", "", "Authorization", s3))
	b.put("after")

	if a.To != to || a.Data != dir || a.Files < 5 || a.Bytes == 0 || a.Linked == 0 {
		t.Errorf("it is said to be %+v", a)
	}
	if found, c := findings(t, to); len(found) > 0 || c.Records < 20 || c.Records > 40 || c.Shards != 1 {
		t.Errorf("in the copy of %+v: %q", c, found)
	}
	restored := start(t, Config{Data: to})
	answer := restored.ok(restored.kinesis(
		"GetShardIterator",
		`{"StreamName":"orders","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`,
	))
	var iterator struct{ ShardIterator string }
	if err := json.Unmarshal([]byte(answer), &iterator); err != nil {
		t.Fatal(err)
	}
	records := restored.ok(restored.kinesis("GetRecords", `{"ShardIterator":"`+iterator.ShardIterator+`"}`))
	for i := range 20 {
		if key := fmt.Sprintf(`"PartitionKey":"before-%d"`, i); strings.Count(records, key) != 1 {
			t.Errorf("%s is there %d times", key, strings.Count(records, key))
		}
	}
	if strings.Contains(records, `"after"`) {
		t.Error("the copy has a record that came after it")
	}
	if got := restored.ok(restored.do("GET", "/things/a", "", "Authorization", s3)); got != "hello" {
		t.Errorf("the object is %q", got)
	}
	restored.ok(restored.lambda("GET", "/2015-03-31/functions/f", ""))
	if got := restored.ok(restored.lambda("POST", "/2015-03-31/functions/f/invocations", `"x"`)); got != "null" {
		t.Errorf("the function of the copy answers %s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), unfinishedBackup+"*")); len(left) > 0 {
		t.Errorf("left beside the copy: %q", left)
	}
}

// A backup overwrites nothing, is no part of itself, and is not made of what lies in memory.
func TestBackupsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir, full := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), []byte("years"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{Data: dir})
	for _, c := range []struct{ to, want string }{
		{full, "is not empty"},
		{filepath.Join(full, "thesis.txt"), "is no directory"},
		{filepath.Join(full, "missing", "copy"), "does not exist on the server's machine"},
		{filepath.Join(dir, "copy"), "lie within each other"},
		{dir, "lie within each other"},
		{filepath.Dir(dir), "lie within each other"},
	} {
		status, answer := b.control("POST", control.PathBackup, `{"to":"`+c.to+`"}`)
		if status != 400 || !strings.Contains(answer, c.want) {
			t.Errorf("to %s: %d %s", c.to, status, answer)
		}
	}

	memory := start(t, Config{Dev: true})
	status, answer := memory.control("POST", control.PathBackup, `{"to":"`+filepath.Join(t.TempDir(), "copy")+`"}`)
	if status != 409 || !strings.Contains(answer, "keeps everything in memory") {
		t.Errorf("in memory: %d %s", status, answer)
	}
}

// Files that the store refers to are compared with their names, and the directory of a running server is left alone.
func TestACheckFindsDamagedFiles(t *testing.T) {
	t.Parallel()
	s3 := fmt.Sprintf(signature, "s3")
	dir := t.TempDir()
	b := start(t, Config{Data: dir})
	b.pipeline()
	b.ok(b.do("PUT", "/things", "", "Authorization", s3))
	b.ok(b.do("PUT", "/things/a", "hello", "Authorization", s3, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"))
	_, err := Check(t.Context(), dir, slog.New(slog.DiscardHandler), func(pebble.Finding) {})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("while the server runs: %v", err)
	}
	b.stopNow()
	if found, _ := findings(t, dir); len(found) > 0 {
		t.Fatalf("in what is whole: %q", found)
	}
	zips, _ := filepath.Glob(filepath.Join(dir, "functions", "code", "*.zip"))
	objects, _ := filepath.Glob(filepath.Join(dir, "objects", "content", "*"))
	if len(zips) != 1 || len(objects) != 1 {
		t.Fatalf("there are %q and %q", zips, objects)
	}
	if err := os.WriteFile(objects[0], []byte("hellp"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(zips[0]); err != nil {
		t.Fatal(err)
	}

	found, _ := findings(t, dir)

	text := strings.Join(found, "\n")
	if len(found) != 2 || !strings.Contains(text, "its bytes are not those") || !strings.Contains(text, "is missing") {
		t.Errorf("found %q", found)
	}
	if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	if found, _ := findings(t, dir); len(found) != 1 || !strings.Contains(found[0], "there was one") {
		t.Errorf("without a store: %q", found)
	}
}
