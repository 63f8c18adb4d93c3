package auth

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const twoKeys = `keys:
  AKIAAAAAAAAAAAAAAAAA:
    name: alice
    secret: abcdefghijklmnop
    role: operate
  AKIABBBBBBBBBBBBBBBB:
    name: bob@example.com
    secret: "ponmlkjihgfedcba"
    account: 012345678901
    role: produce
    streams: [orders-*, clicks]
`

func TestAFileSaysWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	keys, err := Parse([]byte(twoKeys))
	if err != nil {
		t.Fatal(err)
	}
	a, b := keys["AKIAAAAAAAAAAAAAAAAA"], keys["AKIABBBBBBBBBBBBBBBB"]
	if a == nil || a.Name != "alice" || a.Account != DefaultAccount || a.Rights.Role != Operate ||
		a.Rights.Streams != nil {
		t.Errorf("%+v", a)
	}
	// an account is no number, whatever YAML thinks of a zero in front
	if b == nil || b.Account != "012345678901" || !slices.Equal(b.Rights.Streams, []string{"orders-*", "clicks"}) {
		t.Errorf("%+v", b)
	}
	for _, empty := range []string{"", "# nothing\n", "keys:\n", "keys: {}\n"} {
		if keys, err := Parse([]byte(empty)); err != nil || len(keys) != 0 {
			t.Errorf("%q: %v, %v", empty, keys, err)
		}
	}
}

// What a file cannot say is refused with its line, and without what stands there: it could be a secret.
func TestAWrongFileIsRefused(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string]string{
		"keys: 1":                            "line 1: keys must be",
		"- a":                                "line 1: the file must be a mapping",
		"key: {}":                            "line 1: the file has only the members keys",
		"keys:\n  short: {}":                 "line 2: an access key id has",
		"keys:\n  000000000000: {}":          "line 2: an access key id has",
		replaced("    name: alice\n", ""):    "line 2: the key has no name",
		replaced("name: alice", "name: a b"): "line 3: name has 1 to",
		replaced("name: alice", "name: bob@example.com"):            "line 6: another key has the same name",
		replaced("    role: operate\n", ""):                         "line 2: the key has no role",
		replaced("role: operate", "role: root"):                     "line 5: role is one of view",
		replaced("role: operate", "role: [admin]"):                  "line 5: role is one of view",
		replaced("secret: abcdefghijklmnop", "secret: abc"):         "line 4: secret has 16",
		replaced("abcdefghijklmnop", `"abcdefgh ijklmnop"`):         "line 4: secret has 16",
		replaced("012345678901", "12345678901"):                     "line 9: account has twelve digits",
		replaced("[orders-*, clicks]", "[]"):                        "line 11: streams is a list of 1 to 100",
		replaced("[orders-*, clicks]", "orders"):                    "line 11: streams is a list of 1 to 100",
		replaced("[orders-*, clicks]", "['a b']"):                   "line 11: a pattern has",
		replaced("role: operate", "role: operate\n    rôle: admin"): "line 6: a key has only the members",
		replaced("role: operate", "role: operate\n    role: admin"): "line 6: role is there twice",
		replaced("BBBBBBBBBBBBBBBB", "AAAAAAAAAAAAAAAA"):            "line 6: this access key id is there twice",
		replaced("alice", "&a alice"):                               "line 3: anchors and aliases",
		"keys:\n---\nkeys:\n":                                       "more than one document",
		"keys:\n  a: b: c":                                          "line 2: mapping values",
		strings.Repeat("#", maxFile+1):                              "longer than",
	} {
		_, err := Parse([]byte(wrong))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %s", wrong, err, want)
		} else if strings.Contains(err.Error(), "abcdefgh") {
			t.Errorf("%v shows a secret", err)
		}
	}
}

func replaced(old, with string) string { return strings.Replace(twoKeys, old, with, 1) }

func TestPatternsOfStreams(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"orders":   {[]string{"orders"}, []string{"order", "orders2", ""}},
		"orders-*": {[]string{"orders-", "orders-eu"}, []string{"orders", "my-orders-eu"}},
		"*":        {[]string{"", "x"}, nil},
		"*-eu":     {[]string{"-eu", "a-eu-eu"}, []string{"a-eu-x", "eu"}},
		"a*b*c":    {[]string{"abc", "axbxc", "abbc", "abcbc"}, []string{"ab", "ac", "acb", "abcx"}},
		"aa*aa":    {[]string{"aaaa", "aaxaa"}, []string{"aaa"}},
		"a*b*b":    {[]string{"abb", "abxb"}, []string{"ab"}},
		"**":       {[]string{"", "x"}, nil},
		"a.b":      {[]string{"a.b"}, []string{"axb"}},
	} {
		r := Rights{Role: View, Streams: []string{"never", pattern}}
		for _, s := range c.yes {
			if !r.MayUse(s) {
				t.Errorf("%s does not match %q", pattern, s)
			}
		}
		for _, s := range c.no {
			if r.MayUse(s) {
				t.Errorf("%s matches %q", pattern, s)
			}
		}
	}
	if !(&Rights{}).MayUse("x") {
		t.Error("without patterns a stream is kept back")
	}
}

// Each role may call what it is for, and what no list names is for admin alone.
func TestRoles(t *testing.T) {
	t.Parallel()
	for call, want := range map[string][]Role{
		"kinesis DescribeStreamSummary": {View, Consume, Produce, Operate, Admin},
		"kinesis GetRecords":            {Consume, Operate, Admin},
		"kinesis SubscribeToShard":      {Consume, Operate, Admin},
		"kinesis PutRecords":            {Produce, Operate, Admin},
		"kinesis DeleteStream":          {Operate, Admin},
		"dynamodb UpdateItem":           {Consume, Operate, Admin},
		"dynamodb DeleteTable":          {Operate, Admin},
		"monitoring PutMetricData":      {Consume, Produce, Operate, Admin},
		"monitoring GetMetricData":      {View, Consume, Produce, Operate, Admin},
		"lambda Invoke":                 {Operate, Admin},
		"sqs ReceiveMessage":            {Operate, Admin},
		"s3 GetObject":                  {Operate, Admin},
		"s3 ListBuckets":                {View, Consume, Produce, Operate, Admin},
		"iam CreateRole":                {Admin},
		"shardmill Reset":               {Admin},
		"shardmill Replay":              {Operate, Admin},
		"kinesis Nothing":               {Admin},
		"nothing GetRecords":            {Admin},
	} {
		service, operation, _ := strings.Cut(call, " ")
		for _, role := range append(slices.Clone(Roles), "", "root") {
			r := Rights{Role: role}
			if got := r.May(service, operation); got != slices.Contains(want, role) {
				t.Errorf("%q may call %s: %t", role, call, got)
			}
		}
	}
}

func keyFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file that others can use is none.
func TestAFileMustBePrivate(t *testing.T) {
	t.Parallel()
	path := keyFile(t, twoKeys)
	for _, mode := range []os.FileMode{0o644, 0o640, 0o602, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var others *OpenToOthers
		if _, err := Open(path, nil); !errors.As(err, &others) || others.Mode != mode {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, nil); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("a directory is taken for a file")
	}
}

// A new key goes to the end of a file, which stays what it was; of several that are added at once none is lost.
func TestAKeyIsAdded(t *testing.T) {
	t.Parallel()
	path := keyFile(t, "# ours\nkeys:\n    AKIAAAAAAAAAAAAAAAAA: {name: alice, secret: abcdefghijklmnop, role: view}")
	var all sync.WaitGroup
	for _, name := range []string{"bob", "carol", "dave"} {
		all.Go(func() {
			k := New(name, "123456789012", Rights{Role: Produce, Streams: []string{"a-*"}})
			if err := Add(path, k); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	keys, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		if _, ok := keys.Named(name); !ok {
			t.Errorf("%s is not there:\n%s", name, content)
		}
	}
	k, _ := keys.Named("bob")
	if len(k.Secret) != 40 || k.Account != "123456789012" || !slices.Equal(k.Rights.Streams, []string{"a-*"}) ||
		!strings.HasPrefix(string(content), "# ours\nkeys:\n    AKIAAAAAAAAAAAAAAAAA: {") {
		t.Errorf("%+v\n%s", k, content)
	}
	if err := Add(path, New("bob", "", Rights{Role: View})); err == nil {
		t.Error("a second bob is added")
	}
	if again, _ := os.ReadFile(path); string(again) != string(content) {
		t.Errorf("a refused key has changed the file:\n%s", again)
	}
	if about, err := os.Stat(path); err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", about.Mode(), err)
	}
}

// Without a file one is made; what cannot take a key stays as it is.
func TestAFileIsMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.yaml")
	for _, name := range []string{"a", "b"} {
		if err := Add(path, New(name, "", Rights{Role: Admin})); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := keys.Named("b"); !ok {
		t.Error("b is not there")
	}
	for _, content := range []string{"keys: {}\n", "keys: {AKIAAAAAAAAAAAAAAAAA: {name: a, secret: abcdefghijklmnop, role: view}}\n"} {
		path := keyFile(t, content)
		if err := Add(path, New("c", "", Rights{Role: View})); err == nil {
			t.Errorf("a key is added to %s", content)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%s became %s", content, now)
		}
	}
}

// Whatever a file holds, it is read or refused, and a key that is added to what is read is read again.
func FuzzAFileIsReadOrRefused(f *testing.F) {
	f.Add([]byte(twoKeys))
	f.Add([]byte("keys:\n  a: {b: [c]}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := Parse(content)
		if err != nil {
			return
		}
		for id, k := range keys {
			if id != k.ID || !validID(id) || isAccount(id) || !validSecret(k.Secret) || !k.Rights.Role.Valid() ||
				!isAccount(k.Account) {
				t.Fatalf("%+v", k)
			}
		}
	})
}
