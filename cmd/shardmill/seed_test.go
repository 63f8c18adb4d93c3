package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/seed"
	"github.com/shardmill/shardmill/server"
)

// fakeTables returns a fake of DynamoDB with one table, which may exist.
func fakeTables(t *testing.T, calls *[]string, exists bool) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		target := r.Header.Get("X-Amz-Target")
		*calls = append(*calls, target)
		switch {
		case target == "DynamoDB_20120810.CreateTable" && exists:
			w.WriteHeader(400)
			fmt.Fprint(
				w,
				`{"__type":"com.amazonaws.dynamodb.v20120810#ResourceInUseException","message":"Table already exists: processed"}`,
			)
		case target == "DynamoDB_20120810.CreateTable":
			if in["BillingMode"] != "PAY_PER_REQUEST" || in["TableName"] != "processed" ||
				!strings.Contains(r.Header.Get("Authorization"), "/dynamodb/aws4_request") {
				t.Errorf("made with %v", in)
			}
			fmt.Fprint(w, `{}`)
		default:
			fmt.Fprint(
				w,
				`{"Table":{"TableName":"processed","BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST"},"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}}`,
			)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// A table is created once; later it is compared, and a different key is refused by name.
func TestSeedTables(t *testing.T) {
	for _, c := range []struct {
		name, key, want string
		exists          bool
		calls           int
	}{
		{"made", "id", "", false, 1},
		{"unchanged", "id", "", true, 2},
		{
			"refused", "other",
			"the table processed is there with another AttributeDefinitions, which a seed file does not change", true,
			2,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "seed.yaml")
			text := fmt.Sprintf(
				"Tables:\n  - TableName: processed\n    AttributeDefinitions: [{AttributeName: %[1]s, AttributeType: S}]\n    KeySchema: [{AttributeName: %[1]s, KeyType: HASH}]\n",
				c.key,
			)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var said, calls []string
			s, err := loadSeed(t.Context(), file, func(format string, args ...any) {
				said = append(said, fmt.Sprintf(format, args...))
			})
			if err != nil {
				t.Fatal(err)
			}
			err = s.apply(t.Context(), fakeTables(t, &calls, c.exists).URL)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(calls) != c.calls {
				t.Errorf("called %v", calls)
			}
			if err == nil && s.counts[c.name] != 1 {
				t.Errorf("said %q", said)
			}
		})
	}
}

// Tags of a seed reach what is there already: those that it lacks, once, and the others stay.
func TestSeedTagsWhatIsThere(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:00000000-0000-4000-8000-000000000001"
	for name, c := range map[string]struct{ has, done string }{
		"lacks one":  {`{"Tags":{"team":"a","other":"x"}}`, updated},
		"has them":   {`{"Tags":{"team":"a","cost":"7","other":"x"}}`, unchanged},
		"has others": {`{"Tags":{"team":"b","cost":"7"}}`, updated},
	} {
		var posted string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				b, _ := io.ReadAll(r.Body)
				posted = r.URL.Path + " " + string(b)
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_, _ = io.WriteString(w, c.has)
		}))
		s := &seeder{c: newClient(server.URL, seedAccount, "us-east-1")}

		done, err := s.tag(t.Context(), arn, &seed.Item{
			Input: map[string]any{"Tags": map[string]any{"team": "a", "cost": "7"}},
		})

		server.Close()
		want := ""
		if c.done == updated {
			want = "/2017-03-31/tags/" + arn + ` {"Tags":{"cost":"7","team":"a"}}`
		}
		if err != nil || done != c.done || strings.TrimSpace(posted) != want {
			t.Errorf("%s: %v, %s, posted %q; want %s and %q", name, err, done, posted, c.done, want)
		}
	}
}

// An interrupt is not reported as a failure of the seed.
func TestInterruptedSeedSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(file, []byte("Streams: [{Name: orders}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := loadSeed(t.Context(), file, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.apply(ctx, "http://127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Existing items are compared with the file: members that the file does not have do not count, nor does the order of
// lists; an extra variable does.
func TestWhatDiffersIsFound(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	have := m{
		"Timeout": 3.0, "Handler": "h", "Environment": m{"Variables": m{"AA": "1", "BB": "2"}},
		"Types":             []any{"x", "y"},
		"DestinationConfig": m{"OnSuccess": m{}, "OnFailure": m{"Destination": "arn"}},
		"Indexes": []any{
			m{"IndexName": "a", "IndexStatus": "ACTIVE"}, m{"IndexName": "b", "IndexStatus": "ACTIVE"},
		},
	}
	for _, c := range []struct {
		want m
		keys string
	}{
		{m{}, ""},
		{m{"Timeout": int64(3), "Handler": "h"}, ""},
		{m{"Timeout": int64(4), "Handler": "g"}, "Handler Timeout"},
		{m{"Environment": m{"Variables": m{"BB": "2", "AA": "1"}}}, ""},
		{m{"Environment": m{"Variables": m{"AA": "1"}}}, "Environment"},
		{m{"Types": []any{"y", "x"}, "DestinationConfig": m{"OnFailure": m{"Destination": "arn"}}}, ""},
		{
			m{"Types": []any{"x"}, "DestinationConfig": m{"OnFailure": m{"Destination": "other"}}},
			"DestinationConfig Types",
		},
		{m{"Indexes": []any{m{"IndexName": "b"}, m{"IndexName": "a"}}}, ""},
		{m{"Indexes": []any{m{"IndexName": "b"}, m{"IndexName": "c"}}, "Missing": []any{}}, "Indexes"},
		{m{"Missing": "x"}, "Missing"},
	} {
		if got := strings.Join(different(c.want, have), " "); got != c.keys {
			t.Errorf("%v: different are %q, want %q", c.want, got, c.keys)
		}
	}
}

// A reset restores the seed.
func TestResetGoesBackToTheSeed(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(file, []byte("Streams: [{Name: orders, ShardCount: 2}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seeding, err := loadSeed(t.Context(), file, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Dev: true, Prepare: seeding.apply})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(t.Context())
	cl := newClient(s.Endpoint(), wireAccount, "us-east-1")
	defer cl.http.CloseIdleConnections()
	streams := func() string {
		var got struct{ StreamNames []string }
		if err := cl.kinesis(t.Context(), "ListStreams", map[string]any{}, &got); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got.StreamNames, " ")
	}
	if err := cl.kinesis(
		t.Context(), "CreateStream", map[string]any{"StreamName": "other", "ShardCount": 1}, nil,
	); err != nil {
		t.Fatal(err)
	}
	if got := streams(); got != "orders other" {
		t.Errorf("before the reset: %s", got)
	}
	if err := cl.control(t.Context(), "POST", control.PathReset, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := streams(); got != "orders" {
		t.Errorf("after the reset: %s", got)
	}
}

// A package that is too large is refused before it is held in memory.
func TestPackageIsBounded(t *testing.T) {
	t.Parallel()
	b := bounded{limit: 10}
	if n, err := b.Write([]byte("0123456789")); n != 10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := b.Write([]byte("x")); err == nil || b.buf.Len() != 10 {
		t.Errorf("%d bytes, %v", b.buf.Len(), err)
	}
}

// Code is packed without foreign files, and equal content gives equal bytes whenever it was written.
func TestCodeIsPackedTheSameEveryTime(t *testing.T) {
	t.Parallel()
	var sums []string
	for range 2 {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"a.py": "a", "lib/b.py": "b", "__pycache__/a.pyc": "x", ".git/HEAD": "x", "node_modules/m/index.js": "m",
			".env": "e",
		} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join(dir, "a.py"), filepath.Join(dir, "link.py")); err != nil {
			t.Fatal(err)
		}
		tree, err := scanCode(t.Context(), dir, false)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range tree.files {
			names = append(names, f.path)
		}
		if got := strings.Join(names, " "); got != ".env a.py lib/b.py link.py node_modules/m/index.js" {
			t.Errorf("packed %s", got)
		}
		zip, err := readCode(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, codeSum(zip))
		if err := os.Symlink(dir, filepath.Join(dir, "circle")); err != nil {
			t.Fatal(err)
		}
		if _, err := scanCode(t.Context(), dir, false); err == nil ||
			!strings.Contains(err.Error(), "links to directories are not followed") {
			t.Errorf("a link in a circle: %v", err)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two packages of the same files differ: %v", sums)
	}
}

// The directory of a function may be a link that deployments move; another target is new code.
func TestTheDirectoryItselfMayBeALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"one/a.py": "a", "two/a.py": "ab"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "current")
	var sums []string
	var prints [][32]byte
	for _, target := range []string{"one", "two"} {
		_ = os.Remove(link) // there is none the first time
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := checkCode(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		zip, err := readCode(t.Context(), link)
		if err != nil {
			t.Fatal(err)
		}
		direct, err := readCode(t.Context(), filepath.Join(dir, target))
		if err != nil || codeSum(zip) != codeSum(direct) {
			t.Errorf("the link to %s packs something else: %v", target, err)
		}
		tree, err := scanCode(t.Context(), link, true)
		if err != nil {
			t.Fatal(err)
		}
		sums, prints = append(sums, codeSum(zip)), append(prints, tree.fingerprint())
	}
	if sums[0] == sums[1] || prints[0] == prints[1] {
		t.Error("a link that points elsewhere is no new code")
	}
}
