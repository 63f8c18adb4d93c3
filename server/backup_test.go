package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/storage"
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

	if err := os.Symlink(dir, filepath.Join(full, "link")); err != nil {
		t.Fatal(err)
	}
	status, answer := b.control("POST", control.PathBackup, `{"to":"`+filepath.Join(full, "link", "copy")+`"}`)
	if status != 400 || !strings.Contains(answer, "lie within each other") {
		t.Errorf("through a link: %d %s", status, answer)
	}
	b.s.copying.Store(true)
	status, answer = b.control("POST", control.PathBackup, `{"to":"`+filepath.Join(t.TempDir(), "copy")+`"}`)
	if status != 409 || !strings.Contains(answer, "another backup is under way") {
		t.Errorf("during another one: %d %s", status, answer)
	}

	memory := start(t, Config{Dev: true})
	status, answer = memory.control("POST", control.PathBackup, `{"to":"`+filepath.Join(t.TempDir(), "copy")+`"}`)
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

// A backup that does not come to its end leaves nothing: the client has gone, or the server is being stopped.
func TestABackupThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Data: t.TempDir()})
	c := controlled{b.s, b.s.rooms}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for what, give := range map[string]func(to string) error{
		"the client has gone": func(to string) error { _, err := c.Backup(gone, to); return err },
		"the server was stopped": func(to string) error {
			c.rooms.ending.Store(true)
			defer c.rooms.ending.Store(false)
			_, err := c.Backup(t.Context(), to)
			return err
		},
	} {
		above := t.TempDir()
		err := give(filepath.Join(above, "copy"))
		if left, _ := os.ReadDir(above); err == nil || len(left) > 0 {
			t.Errorf("%s: %v, left are %v", what, err, left)
		}
	}
}

// Files that never change are shared with the copy, logs are not, because they go on; what is not whole yet has a name
// that begins with a dot, and stays out.
func TestWhatABackupCopiesAndWhatItShares(t *testing.T) {
	t.Parallel()
	w := copier{ctx: t.Context(), from: t.TempDir(), to: t.TempDir()}
	for _, dir := range []string{"code", "logs"} {
		for _, name := range []string{"a", ".draft"} {
			path := filepath.Join(w.from, dir, name)
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	w.tree("code", true)
	w.tree("logs", false)
	w.tree("none", true)
	if w.err != nil || w.sum.Files != 2 || w.sum.Bytes != 2 || w.sum.Linked != 1 {
		t.Errorf("%+v, %v", w.sum, w.err)
	}
	for dir, shared := range map[string]bool{"code": true, "logs": false} {
		one, err1 := os.Stat(filepath.Join(w.from, dir, "a"))
		other, err2 := os.Stat(filepath.Join(w.to, dir, "a"))
		if err := errors.Join(err1, err2); err != nil || os.SameFile(one, other) != shared {
			t.Errorf("%s: %v, shared: %v", dir, err, os.SameFile(one, other))
		}
		if _, err := os.Stat(filepath.Join(w.to, dir, ".draft")); err == nil {
			t.Errorf("%s: what is not whole is copied", dir)
		}
	}
}

// The metadata of streams is compared with the shards of the store.
func TestACheckFindsShardsWithoutTheirStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, Config{Data: dir})
	b.pipeline()
	b.stopNow()
	store, err := pebble.Open(pebble.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.Coord().List(t.Context(), "stream/", "", 0)
	for _, e := range entries {
		if strings.Contains(e.Key, "orders") {
			_, cerr := store.Coord().Commit(t.Context(), "stream/", storage.Op{Key: e.Key, Expect: storage.Any})
			err = errors.Join(err, cerr)
		}
	}
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	if found, _ := findings(t, dir); len(found) == 0 {
		t.Error("nothing is found")
	}
}
