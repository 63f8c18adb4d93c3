// Package proxy lets another server serve a companion: AWS itself, a server of its kind, or another shardmill.
//
// In flow requests of clients that wire.Router has routed here, and notices and log lines of our own; out flow the same
// requests with the names of the target (package translate), signed again with a key of a credentials file (package
// sigv4), and back come its answers with our names. Nothing is kept. Only the configured host is contacted: no redirect
// is followed, no other proxy used, nothing asked at start-up. What the target refuses is passed on as it is; what
// keeps us from reaching it is said in the protocol of the request.
package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/sigv4"
	"github.com/shardmill/shardmill/proxy/translate"
)

// Bounds of what a target may take.
const (
	maxAtOnce   = 256      // requests to one target
	maxRequest  = 32 << 20 // bytes of a body that is rewritten; SQS and DynamoDB take half of it
	maxAnswer   = 64 << 20 // bytes of an answer that is rewritten
	dialLimit   = 5 * time.Second
	headLimit   = 60 * time.Second // until an answer begins: a long poll takes 20 s
	wholeLimit  = 90 * time.Second // of a request whose answer is rewritten
	silentLimit = 60 * time.Second // without a byte of a body that passes through
)

// Target is another server that serves a companion. Safe for concurrent use; it takes nothing until its first request.
type Target struct {
	companion string
	setting   Setting
	url       *url.URL
	keys      *Credentials
	log       *slog.Logger
	now       func() time.Time

	transport func() *http.Transport
	slots     chan struct{}
	via       string // marks what has come through here
	stopped   context.Context
	stop      context.CancelFunc
}

// NamesAs reports whether o has its resources in the same account and region: what one target names is the other's,
// too.
func (t *Target) NamesAs(o *Target) bool {
	return t.setting.Account == o.setting.Account && t.setting.Region == o.setting.Region
}

// NewTarget returns what serves a companion, by its name. It fails if the setting lacks something, or the file a key.
func NewTarget(companion string, s Setting, keys *Credentials, log *slog.Logger) (*Target, error) {
	if keys == nil {
		return nil, errors.New("proxy: needs --proxy-credentials FILE, with the key that requests are signed with")
	}
	k, err := keys.Key(s.Profile)
	if err != nil {
		return nil, err
	}
	if s.Account == "" && wire.IsAccount(k.ID) { // as another shardmill reads it
		s.Account = k.ID
	}
	if s.Account == "" {
		return nil, errors.New("the account of the target is not known; add ,account= and its 12 digits")
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	t := &Target{
		companion: companion, setting: s, url: u, keys: keys, log: log, now: time.Now,
		slots: make(chan struct{}, maxAtOnce), via: "1.1 shardmill-" + rand.Text(),
		transport: sync.OnceValue(newTransport),
	}
	t.stopped, t.stop = context.WithCancel(context.Background())
	return t, nil
}

func newTransport() *http.Transport {
	only := new(http.Protocols)
	only.SetHTTP1(true)
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialLimit}).DialContext, TLSHandshakeTimeout: dialLimit,
		ResponseHeaderTimeout: headLimit, IdleConnTimeout: 15 * time.Second, MaxIdleConnsPerHost: 32,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, Protocols: only,
	}
}

// Stop ends requests under way, for good.
func (t *Target) Stop() { t.stop() }

// Close lets go of connections.
func (t *Target) Close() { t.transport().CloseIdleConnections() }

// Companion returns the name of what it serves.
func (t *Target) Companion() string { return t.companion }

// String returns where it is.
func (t *Target) String() string { return t.setting.URL }

// names returns how the names of a caller become those of the target.
func (t *Target) names(account, region, endpoint string) translate.Names {
	return translate.Names{
		From: translate.Side{Account: account, Region: region, Endpoint: endpoint},
		To:   translate.Side{Account: t.setting.Account, Region: t.setting.Region, Endpoint: t.setting.URL},
	}
}

func (t *Target) namesOf(c wire.Caller) translate.Names {
	return t.names(c.Account, c.Region, c.Endpoint)
}

// failure is why a target gave no answer.
type failure struct {
	ours bool // not the target's: the key, a bound, or that we stop
	text string
	hint string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// enter takes one of the places for requests; leave gives it back and ends the request's context.
func (t *Target) enter(ctx context.Context, h http.Header) (inner context.Context, leave func(), err error) {
	if slices.Contains(h["Via"], t.via) {
		return nil, nil, &failure{
			text: fmt.Sprintf("the companion %s is proxied to %s, which leads back to this server", t.companion, t),
			hint: "name the server that has it with --" + t.companion,
		}
	}
	h.Add("Via", t.via)
	select {
	case t.slots <- struct{}{}:
	default:
		return nil, nil, &failure{
			ours: true,
			text: fmt.Sprintf("the companion %s has %d requests under way at %s already", t.companion, maxAtOnce, t),
			hint: "send fewer at once",
		}
	}
	inner, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(t.stopped, cancel)
	return inner, func() {
		release()
		cancel()
		<-t.slots
	}, nil
}

// sign signs a request for a service of the target. digest is that of its body.
func (t *Target) sign(r *http.Request, service, digest string) error {
	k, err := t.keys.Key(t.setting.Profile)
	if err != nil {
		return &failure{
			ours: true, text: "requests to the companion " + t.companion + " cannot be signed: " + err.Error(),
			hint: "correct the file; it is read again with the next request", err: err,
		}
	}
	sigv4.Sign(r, digest, k, sigv4.Scope{Region: t.setting.Region, Service: service}, t.now())
	return nil
}

// send sends a signed request. The answer's body must be closed.
func (t *Target) send(r *http.Request) (*http.Response, error) {
	answer, err := t.transport().RoundTrip(r)
	if err != nil {
		return nil, t.unreachable(err)
	}
	if to := answer.Header.Get("Location"); to != "" && answer.StatusCode >= 300 && answer.StatusCode < 400 {
		_ = answer.Body.Close()
		return nil, &failure{
			text: fmt.Sprintf("the companion %s is proxied to %s, which redirects to another place (%d)", t.companion, t,
				answer.StatusCode),
			hint: "no redirect is followed; name the place itself with --" + t.companion + ": it says " +
				fault.Clip(hostOf(to), 200),
		}
	}
	return answer, nil
}

// hostOf returns the scheme and host of a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "something that is no URL"
	}
	return u.Scheme + "://" + u.Host
}

func (t *Target) unreachable(err error) error {
	if t.stopped.Err() != nil {
		return &failure{ours: true, text: "the server is stopping", err: err}
	}
	return &failure{
		text: fmt.Sprintf(
			"the companion %s is proxied to %s, which does not answer: %s", t.companion, t, fault.Clip(err.Error(), 300),
		),
		hint: "start what answers there, or name another place with --" + t.companion, err: err,
	}
}

// answer is an answer that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request whose body and answer are held as a whole. Its path is one of sigv4.Escape.
func (t *Target) call(
	ctx context.Context, service, method, path, query string, h http.Header, body []byte,
) (answer, error) {
	ctx, leave, err := t.enter(ctx, h)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, wholeLimit)
	defer cancel()
	r, err := t.request(ctx, method, path, query, h)
	if err != nil {
		return answer{}, err
	}
	setBody(r, body)
	if err := t.sign(r, service, sigv4.Digest(body)); err != nil {
		return answer{}, err
	}
	got, err := t.send(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = got.Body.Close() }()
	b, err := t.whole(ctx, got.Body)
	return answer{got.StatusCode, got.Header, b}, err
}

// whole reads an answer. It is charged as it comes, twice for its copy with other names.
func (t *Target) whole(ctx context.Context, body io.Reader) ([]byte, error) {
	b, err := io.ReadAll(charged{ctx, io.LimitReader(body, maxAnswer+1)})
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return nil, err
	case err != nil:
		return nil, t.unreachable(err)
	case len(b) > maxAnswer:
		return nil, &failure{text: fmt.Sprintf(
			"the companion %s got an answer of more than %d bytes from %s", t.companion, maxAnswer, t,
		)}
	}
	return b, nil
}

// charged charges what is read to the request.
type charged struct {
	ctx  context.Context
	from io.Reader
}

// Read reads more, unless there is no memory for it.
func (c charged) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if cerr := wire.Charge(c.ctx, 2*int64(n)); cerr != nil {
		return n, cerr
	}
	return n, err
}

// request returns a request to the target without a body.
func (t *Target) request(ctx context.Context, method, path, query string, h http.Header) (*http.Request, error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, err
	}
	u := *t.url
	u.Path, u.RawPath, u.RawQuery = plain, path, query
	r := (&http.Request{
		Method: method, URL: &u, Host: u.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	return r, nil
}
