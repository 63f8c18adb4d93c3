package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/api/control"
)

// socketDir returns a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// through returns b with a client that sends everything to one address of the server.
func (b *bench) through(address string) *bench {
	network, place := "tcp", strings.TrimPrefix(address, "http://")
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, place = "unix", path
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, place)
	}}
	b.Cleanup(tr.CloseIdleConnections)
	return &bench{b.T, b.s, &http.Client{Transport: tr}}
}

// Every address serves everything, and commands of this user find the token by each of them. When the server has
// stopped nothing is left of it.
func TestEveryAddressIsServed(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(socketDir(t), "shardmill.sock")
	b := start(t, Config{Listen: []string{"127.0.0.1", "[::1]:0", "localhost:0", "unix:" + socket}})
	addresses := b.s.Addresses()
	if len(addresses) != 4 || addresses[0] != b.s.Endpoint() || addresses[0] != b.s.Inside() {
		t.Fatalf("it listens on %v; %s, inside %s", addresses, b.s.Endpoint(), b.s.Inside())
	}
	var tokens []string
	for _, a := range addresses {
		b := b.through(a)
		b.ok(b.kinesis("ListStreams", "{}"))
		path, err := TokenFile(strings.TrimPrefix(a, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != b.s.Token()+"\n" {
			t.Errorf("%s: the token is %q, %v", a, text, err)
		}
		tokens = append(tokens, path)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("others may connect to the socket: %v, %v", info, err)
	}

	b.s.Stop(t.Context())

	for _, path := range append(tokens, socket) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
	b.s.closed(t)
}

// Functions and this machine reach the server at 127.0.0.1, whatever it listens on: at the same port if that is free.
func TestTheServerIsReachedFromInside(t *testing.T) {
	t.Parallel()
	for _, listen := range [][]string{
		{"unix:" + filepath.Join(socketDir(t), "s")}, {"[::1]:0"}, {"127.0.0.2:0"},
		{"[::]:0", "127.0.0.2:0"}, // beside an address of IPv4 the one of IPv6 is for IPv6 alone
	} {
		b := start(t, Config{Listen: listen, Dev: true, AuthOff: true})
		status, answer := b.through(b.s.Inside()).kinesis("ListStreams", "{}")
		if status != 200 || !strings.HasPrefix(b.s.Inside(), "http://127.0.0.1:") ||
			slices.Contains(b.s.Addresses(), b.s.Inside()) {
			t.Errorf("%v: %s answers %d %s", listen, b.s.Inside(), status, answer)
		}
	}
	// where another program has the port of 127.0.0.1, functions get another one
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, port, _ := net.SplitHostPort(other.Addr().String())
	b := start(t, Config{Listen: []string{"127.0.0.2:" + port}})
	b.ok(b.through(b.s.Inside()).kinesis("ListStreams", "{}"))
	if b.s.Inside() == "http://127.0.0.1:"+port {
		t.Errorf("functions are sent to another program at %s", b.s.Inside())
	}
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		b := start(t, Config{Listen: []string{listen}, Dev: true, AuthOff: true})
		b.ok(b.through(b.s.Inside()).kinesis("ListStreams", "{}"))
		if n := len(b.s.listeners); n != 1 {
			t.Errorf("%s: %d listeners, though all of this machine's addresses are listened on", listen, n)
		}
	}
}

// The socket of a server that was killed is replaced. One that is in use, and a file that is no socket, are left alone.
func TestASocketsPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketDir(t), "s")
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false)
	_ = killed.Close()
	b := start(t, Config{Listen: []string{"unix:" + path}})
	b.ok(b.through("unix:"+path).kinesis("ListStreams", "{}"))

	s, err := New(Config{Listen: []string{"unix:" + path}})
	if err != nil {
		t.Fatal(err)
	}
	var inUse *PortInUse
	if err := s.Start(t.Context()); !errors.As(err, &inUse) || err.Error() != "the address unix:"+path+" is in use" {
		t.Errorf("a socket in use: %v", err)
	}
	b.ok(b.through("unix:"+path).kinesis("ListStreams", "{}"))
	b.s.Stop(t.Context())

	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cannot *ListenError
	if err := s.Start(t.Context()); !errors.As(err, &cannot) || cannot.Hint == "" {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file holds %q now, %v", text, err)
	}
}

// What is at a socket's path and is no such socket is left alone, however little it looks like something: an empty
// file, a directory, a pipe, a socket of another kind, which nobody can connect to either, and a link to nowhere.
func TestWhatIsInTheWayOfASocketStays(t *testing.T) {
	t.Parallel()
	for what, put := range map[string]func(path string) error{
		"an empty file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a directory":   func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":        func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link":        func(path string) error { return os.Symlink("/nowhere/at/all", path) },
		"a socket of datagrams": func(path string) error {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err == nil {
				t.Cleanup(func() { _ = c.Close() })
			}
			return err
		},
	} {
		path := filepath.Join(socketDir(t), "s")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Listen: []string{"unix:" + path}})
		if err != nil {
			t.Fatal(err)
		}

		var cannot *ListenError
		if err := s.Start(t.Context()); !errors.As(err, &cannot) {
			t.Errorf("%s: %v", what, err)
			s.Stop(t.Context())
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is gone: %v", what, err)
		}
	}
}

// Commands of this user find the token by each address of a server that listens on all of this machine, in IPv6, too.
func TestTheTokenIsFoundByEveryAddress(t *testing.T) {
	t.Parallel()
	for listen, calls := range map[string][]string{
		"[::]:0": {"[::]", "[::1]", "127.0.0.1"}, "0.0.0.0:0": {"127.0.0.1"},
	} {
		b := start(t, Config{Listen: []string{listen}, Dev: true, AuthOff: true})
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(b.s.Inside(), "http://"))
		for _, host := range calls {
			path, err := TokenFile(host + ":" + port)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != b.s.Token()+"\n" {
				t.Errorf("%s, called at %s: the token is %q, %v", listen, host, text, err)
			}
		}
	}
}

// An address that cannot be listened on is named, with what to do, and the others are closed again.
func TestAnAddressThatCannotBeListenedOn(t *testing.T) {
	t.Parallel()
	taken := start(t, Config{})
	in := strings.TrimPrefix(taken.s.Endpoint(), "http://")
	for listen, want := range map[string]string{
		in:                       "the address " + in + " is in use",
		"192.0.2.1:0":            "listening on 192.0.2.1:0: bind: cannot assign requested address",
		"unix:/nowhere/at/all/s": "listening on unix:/nowhere/at/all/s: bind: no such file or directory",
	} {
		s, err := New(Config{Listen: []string{"127.0.0.1:0", listen}, Dev: true, AuthOff: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", listen, err, want)
		}
		s.closed(t)
	}
}

// everywhere starts a server that other machines could reach, and that does not know who calls.
func everywhere(t *testing.T, cfg Config) *bench {
	t.Helper()
	cfg.Listen, cfg.Dev, cfg.AuthOff = []string{"0.0.0.0:0"}, true, true
	return start(t, cfg)
}

// With --auth off beyond loopback nothing that a browser has marked is served, not even what a person types, by any
// address or name; the control API still needs its token. AWS's clients are served.
func TestAnOpenServerRefusesBrowsers(t *testing.T) {
	t.Parallel()
	b := everywhere(t, Config{})
	for _, host := range []string{"127.0.0.1:1", "10.1.2.3:4566", "[2001:db8::1]"} {
		for _, says := range [][2]string{
			{"Origin", "http://10.1.2.3:4566"}, {"Origin", ""}, {"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "same-origin"},
			{"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-User", "?1"}, {"Sec-Fetch-Storage-Access", "active"},
		} {
			for _, path := range []string{
				"/", control.PathReady, control.PathMetrics, "/000000000000/q?Action=DeleteQueue",
			} {
				status, answer := b.do("GET", path, "", "Host", host, says[0], says[1], "Authorization",
					fmt.Sprintf(signature, "sqs"))
				if status != 403 || !strings.Contains(answer, "--auth off") {
					t.Errorf("%s%s with %v: %d %s", host, path, says, status, answer)
				}
			}
		}
		if status, answer := b.do("GET", control.PathClock, "", "Host", host); status != 401 {
			t.Errorf("%s: the control API without a token answers %d %s", host, status, answer)
		}
		b.ok(b.do("GET", control.PathReady, "", "Host", host))
		b.ok(b.do("POST", "/", "{}", "Host", host, "X-Amz-Target", "AmazonSQS.ListQueues"))
	}
}

// A server answers to what it listens on, to what it advertises and to the names that it is given; the refusal of any
// other name says which flag adds it. An IP address is no name that a page could rebind: all are accepted where all are
// listened on.
func TestAcceptedHosts(t *testing.T) {
	t.Parallel()
	open := everywhere(t, Config{AllowHosts: []string{"shardmill", "*.kinesis.us-east-1.amazonaws.com", "2001:db8::7"}, Advertise: "http://Stream.Example:80"})
	local := start(t, Config{Listen: []string{"127.0.0.2:0"}, AllowHosts: []string{"10.0.0.9"}})
	for host, want := range map[string][2]bool{
		"127.0.0.1:1": {true, true}, "localhost": {true, true}, "x.localhost": {true, true}, "[::1]": {true, true},
		"shardmill": {true, false}, "SHARDMILL:4566": {true, false}, "x.shardmill": {false, false},
		"stream.example": {true, false}, "stream.example:4566": {true, false},
		"000000000000.kinesis.us-east-1.amazonaws.com": {true, false}, "kinesis.us-east-1.amazonaws.com": {false, false},
		"a.b.kinesis.us-east-1.amazonaws.com": {true, false},
		"10.0.0.9":                            {true, true}, "10.0.0.9:4566": {true, true},
		"10.0.0.8": {true, false}, "[2001:db8::7]": {true, false},
		"[2001:db8::8]:1": {true, false}, "[::ffff:10.0.0.9]": {false, false}, "10.0.0.9.nip.io": {false, false}, "010.0.0.9": {false, false},
		"[2001:DB8::8]": {true, false}, "[2001:db8:0::8]": {false, false}, "evil.example": {false, false}, "shardmill.evil.example": {false, false},
		"shardmill:x": {false, false}, "2001:db8::7": {false, false}, ".shardmill": {false, false},
		".kinesis.us-east-1.amazonaws.com": {false, false}, "shardmill.": {false, false},
	} {
		for i, b := range []*bench{open, local} {
			status, answer := b.do("GET", control.PathReady, "", "Host", host)
			if (status == 200) != want[i] || status != 200 && status != 421 {
				t.Errorf("server %d, %s: %d %s", i, host, status, answer)
			}
		}
	}
	_, answer := local.do("GET", "/", "", "Host", "stream.example:4566")
	contains(t, answer, "start it with --allow-host stream.example.")
}

// URLs in answers begin as the client called, or with what is advertised; both hold for every kind of URL.
func TestURLsInAnswers(t *testing.T) {
	t.Parallel()
	for advertise, want := range map[string]string{"": "http://localhost:99", "https://stream.example": "https://stream.example"} {
		b := start(t, Config{Advertise: advertise})
		as := func(service string) []string {
			return []string{"Host", "localhost:99", "Authorization", fmt.Sprintf(signature, service)}
		}
		contains(t, b.ok(b.do("POST", "/", `{"QueueName":"q"}`, append(as("sqs"), "X-Amz-Target", "AmazonSQS.CreateQueue")...)),
			`"QueueUrl":"`+want+`/000000000000/q"`)
		b.ok(b.lambda("POST", "/2015-03-31/functions", fmt.Sprintf(
			`{"FunctionName":"f","Runtime":"provided.al2023","Role":"arn:aws:iam::000000000000:role/r","Handler":"h","Code":{"ZipFile":%q}}`,
			base64.StdEncoding.EncodeToString(b.code()),
		)))
		answer := b.ok(b.do("GET", "/2015-03-31/functions/f", "", as("lambda")...))
		contains(t, answer, `"Location":"`+want+`/2015-03-31/shardmill-packages/`)
		b.ok(b.do("PUT", "/things", "", as("s3")...))
		for _, host := range []string{"localhost:99", "things.localhost:99"} {
			at, place := want+"/things/parts", "/things/parts"
			if host != "localhost:99" {
				place = "/parts"
				if advertise == "" {
					at = "http://things.localhost:99/parts"
				}
			}
			headers := append([]string{"Host", host}, as("s3")[2:]...)
			_, id, _ := strings.Cut(b.ok(b.do("POST", place+"?uploads", "", headers...)), "<UploadId>")
			id, _, _ = strings.Cut(id, "<")
			b.ok(b.do("PUT", place+"?partNumber=1&uploadId="+id, "one", headers...))
			contains(t, b.ok(b.do("POST", place+"?uploadId="+id,
				`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"f97c5d29941bfb1b2fdab0874906ab82"</ETag></Part></CompleteMultipartUpload>`,
				headers...)), "<Location>"+at+"</Location>")
		}
	}
}

// With a name below which every name counts, what is in front of it may be a bucket, as it may with localhost.
func TestBucketsBelowAnAllowedName(t *testing.T) {
	t.Parallel()
	b := start(t, Config{AllowHosts: []string{"*.lan", "*.mill.lan"}})
	s3 := []string{"Authorization", fmt.Sprintf(signature, "s3")}
	b.ok(b.do("PUT", "/things", "", s3...))
	for _, host := range []string{"things.mill.lan", "things.s3.mill.lan:4566", "things.s3.eu-west-1.mill.lan", "things.lan"} {
		b.ok(b.do("PUT", "/key", host, append([]string{"Host", host}, s3...)...))
		for _, path := range []string{"s3.mill.lan", "s3.us-east-1.mill.lan", "127.0.0.1"} {
			if got := b.ok(b.do("GET", "/things/key", "", append([]string{"Host", path}, s3...)...)); got != host {
				t.Errorf("%s after a put to %s: %q", path, host, got)
			}
		}
	}
}

// How a server is reached is told to who has the token.
func TestReachIsTold(t *testing.T) {
	t.Parallel()
	b := everywhere(t, Config{Advertise: "http://stream.example"})
	if got, want := b.ok(b.control("GET", control.PathReach, "")), fmt.Sprintf(
		`{"addresses":["http://0.0.0.0:%d"],"advertise":"http://stream.example","open":true}`, b.s.listeners[0].port(),
	); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if status, answer := b.do("GET", control.PathReach, ""); status != 401 {
		t.Errorf("without a token: %d %s", status, answer)
	}
	resp, err := b.client.Get(b.s.Endpoint() + control.PathReady)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// A request of HTTP/1.0 may have no Host, and nobody can see then what it means: the refusal says what to send.
func TestARequestWithoutAHostIsToldSo(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	c, err := net.Dial("tcp", strings.TrimPrefix(b.s.Endpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	_, err = io.WriteString(c, "GET /_shardmill/health/ready HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(c)

	if err != nil || !strings.Contains(string(answer), " 421 ") ||
		!strings.Contains(string(answer), "send Host: localhost") {
		t.Errorf("%q, %v", answer, err)
	}
}
