package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/sigv4"
)

// The region comes from a host of AWS's, in every form that AWS gives its hosts.
func TestAHostOfAWSTellsItsRegion(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"sqs.eu-west-1.amazonaws.com":                    "eu-west-1",
		"s3.us-gov-west-1.amazonaws.com":                 "us-gov-west-1",
		"sqs.cn-north-1.amazonaws.com.cn":                "cn-north-1",
		"sqs.eu-central-1.api.aws":                       "eu-central-1",
		"vpce-1-2.sqs.ap-southeast-2.vpce.amazonaws.com": "ap-southeast-2",
		"111122223333.ddb.eu-west-1.amazonaws.com":       "eu-west-1",
		"s3.amazonaws.com":                               "us-east-1",
		"eu-west-1.example.com":                          "",
		"sqs.eu-west-1.amazonaws.com.example.com":        "",
		"127.0.0.1": "",
	} {
		if got := regionOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	s, err := ParseSetting("proxy:https://SQS.eu-west-1.amazonaws.com:8443/,work,account=111122223333")
	want := Setting{Proxied, "https://SQS.eu-west-1.amazonaws.com:8443", "work", "111122223333", "eu-west-1"}
	if err != nil || s != want || s.Shared() || s.Plain() {
		t.Errorf("%+v, %v", s, err)
	}
	for value, plain := range map[string]bool{
		"proxy:http://127.0.0.1:1,region=us-east-1": false, "proxy:http://[::1]:1,region=us-east-1": false,
		"proxy:http://minio:9000,region=us-east-1": true, "proxy:https://minio:9000,region=us-east-1": false,
	} {
		if s, err := ParseSetting(value); err != nil || s.Plain() != plain || !s.Shared() {
			t.Errorf("%s: %+v, %v", value, s, err)
		}
	}
}

// A setting never panics, and what is taken says everything that a target needs.
func FuzzSetting(f *testing.F) {
	f.Add("proxy:https://sqs.eu-west-1.amazonaws.com,work,account=111122223333")
	f.Add("proxy:http://[::1]:1,region=x")
	f.Fuzz(func(t *testing.T, value string) {
		s, err := ParseSetting(value)
		if err == nil && s.Mode == Proxied && (s.URL == "" || s.Region == "" || strings.Contains(s.URL, "@")) {
			t.Errorf("%q: %+v", value, s)
		}
	})
}

func write(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	err := os.WriteFile(path, []byte(text), 0o600)
	if err == nil {
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A credentials file is read as AWS's SDKs read it, and again when it changes: keys of a session are renewed by tools.
// What is wrong with it is said without what it holds.
func TestCredentialsFollowTheirFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "credentials")
	c := NewCredentials(path)
	if _, err := c.Key("default"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	begin := time.Unix(1_700_000_000, 0)
	write(t, path, "# comment\n; another\n\n [default]  # mine\naws_access_key_id=A\nAWS_SECRET_ACCESS_KEY = s=/+\n"+
		"region = eu-west-1\r\n[profile work]\naws_access_key_id=B\naws_secret_access_key=t\naws_session_token=u==\n", begin)
	for profile, want := range map[string]sigv4.Key{
		"default": {ID: "A", Secret: "s=/+"}, "work": {ID: "B", Secret: "t", Session: "u=="},
	} {
		if got, err := c.Key(profile); err != nil || got != want {
			t.Errorf("%s: %+v, %v", profile, got, err)
		}
	}
	write(t, path, "[work]\naws_access_key_id=C\naws_secret_access_key=v\n", begin.Add(time.Second))
	if got, err := c.Key("work"); err != nil || got != (sigv4.Key{ID: "C", Secret: "v"}) {
		t.Errorf("renewed: %+v, %v", got, err)
	}
	for i, bad := range []string{"secret\n", "[work\naws_access_key_id=secret", "[work] secret", "[work]\nx=secret\x01\n"} {
		write(t, path, bad, begin.Add(time.Duration(i+2)*time.Second))
		if _, err := c.Key("work"); err == nil || strings.Contains(err.Error(), "secret\x01") ||
			strings.Contains(strings.ReplaceAll(err.Error(), "aws_secret", ""), "secret") ||
			!strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A body in aws-chunked encoding loses its signatures and nothing else, whatever the size of reads; what is none fails.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("hello world"), 3, 1)
	f.Add([]byte(""), 1, 100)
	f.Add([]byte("000000000000"), 100, 1) // half of it ends behind the last chunk
	f.Fuzz(func(t *testing.T, data []byte, chunk, read int) {
		if chunk < 1 || read < 1 || chunk > 1<<16 || read > 1<<16 {
			t.Skip()
		}
		var signed, framed bytes.Buffer
		put := func(b []byte) {
			size := strings.ToLower(hexOf(len(b)))
			signed.WriteString(size + ";chunk-signature=00ff\r\n" + string(b))
			framed.WriteString(size + "\r\n" + string(b))
			if len(b) > 0 {
				signed.WriteString("\r\n")
				framed.WriteString("\r\n")
			}
		}
		for rest := data; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
			put(rest[:min(chunk, len(rest))])
		}
		put(nil)
		signed.WriteString("x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:00ff\r\n\r\n")
		framed.WriteString("x-amz-checksum-crc32:AAAAAA==\r\n\r\n")
		for _, c := range []struct {
			framed bool
			want   []byte
		}{{false, data}, {true, framed.Bytes()}} {
			got, err := io.ReadAll(bufio.NewReaderSize(newChunks(bytes.NewReader(signed.Bytes()), c.framed, nil), read))
			if err != nil || !bytes.Equal(got, c.want) {
				t.Fatalf("framed %t: %q, %v, want %q", c.framed, got, err, c.want)
			}
			_, _ = io.ReadAll(newChunks(bytes.NewReader(data), c.framed, nil)) // whatever it is
			cut := signed.Bytes()[:signed.Len()/2]
			got, err = io.ReadAll(newChunks(bytes.NewReader(cut), c.framed, nil))
			if err == nil && (c.framed || !bytes.Equal(got, data)) {
				t.Fatalf("%q is whole", cut)
			}
		}
	})
}

func hexOf(n int) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return digits[n : n+1]
	}
	return hexOf(n/16) + digits[n%16:n%16+1]
}

// Headers of a connection, of a browser and of our caller's signature go no further; all others do.
func TestHeadersOfTheWayStayBehind(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Te": {"trailers"}, "Authorization": {"secret"},
		"X-Amz-Security-Token": {"secret"}, "X-Amz-Date": {"x"}, "Cookie": {"x"}, "Origin": {"x"}, "X-Forwarded-For": {"x"},
		"Access-Control-Allow-Origin": {"*"}, "Sec-Fetch-Mode": {"x"}, "Set-Cookie": {"x"}, "Content-Length": {"1"},
		"X-Amz-Meta-A": {"1"}, "Content-Type": {"text/plain"}, "Etag": {"x"}, "Amz-Sdk-Invocation-Id": {"x"},
	}
	got := passed(h)
	if len(got) != 4 || got.Get("X-Amz-Meta-A") == "" || got.Get("Content-Type") == "" || got.Get("Etag") == "" ||
		got.Get("Amz-Sdk-Invocation-Id") == "" {
		t.Errorf("passed: %v", got)
	}
	if got := unsigned("a=1&X-Amz-Algorithm=x&X-Amz-Signature=y&X-Amz-Credential=z&b="); got != "a=1&b=" {
		t.Errorf("a presigned query: %s", got)
	}
}

// newTestTarget returns a target for a handler, with a key.
func newTestTarget(t *testing.T, h http.Handler) *Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "credentials")
	write(t, path, "[default]\naws_access_key_id=111122223333\naws_secret_access_key=s\n", time.Now())
	s, err := ParseSetting("proxy:" + server.URL + ",region=eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	target, err := NewTarget("logs", s, NewCredentials(path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Stop(); target.Close() })
	return target
}

// So many requests are under way at once, and no more; a stop ends them.
func TestRequestsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	target := newTestTarget(t, http.NotFoundHandler())
	var leave func()
	for range maxAtOnce {
		_, l, err := target.enter(t.Context(), http.Header{})
		if err != nil {
			t.Fatal(err)
		}
		leave = l
	}
	var why *failure
	if _, _, err := target.enter(t.Context(), http.Header{}); !errors.As(err, &why) || !why.ours {
		t.Errorf("one more: %v", err)
	}
	leave()
	ctx, _, err := target.enter(t.Context(), http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	target.Stop()
	<-ctx.Done()
}

// Lines that a target does not take are tried three times, then dropped and counted; those behind them still go. More
// than fit into memory are dropped at once.
func TestLinesThatNobodyTakesAreCounted(t *testing.T) {
	t.Parallel()
	got := make(chan string, 100)
	target := newTestTarget(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			LogEvents []struct{ Message string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.LogEvents) == 0 {
			return
		}
		got <- in.LogEvents[0].Message
		if in.LogEvents[0].Message == "bad" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	l := NewLines(target)
	l.pause = func(int) time.Duration { return 0 }
	at := time.Unix(1_700_000_000, 0)
	l.Write(Stream{"g", "bad"}, []Line{{at, "bad"}, {at.Add(time.Second), "worse"}})
	l.Write(Stream{"g", "good"}, []Line{{at.Add(time.Second), "second"}, {at, "first"}})
	for _, want := range []string{"bad", "bad", "bad", "first"} {
		if g := <-got; g != want {
			t.Errorf("got %q, want %q", g, want)
		}
	}
	l.Write(Stream{"g", "huge"}, []Line{{at, strings.Repeat("x", maxPending)}})
	if n := l.Dropped(); n != 3 {
		t.Errorf("dropped %d", n)
	}
	l.Stop()
}
