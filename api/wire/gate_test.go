package wire

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// only are rights to one operation.
type only string

func (o only) May(_, operation string) bool { return operation == string(o) }
func (o only) MayUse(stream string) bool    { return stream == "mine" }

var gateAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// gated returns what sends a POST that the key K has signed, unless change does something to it, through a router whose
// gate knows that key, to a service.
func gated(t *testing.T, s Service, rights Rights) func(body string, change func(*http.Request)) (int, string) {
	t.Helper()
	gate := &Gate{
		Now: func() time.Time { return gateAt },
		Find: func(id string) (Holder, bool) {
			return Holder{
				Account: "111111111111", Secret: "secret", ARN: "arn:aws:iam::111111111111:user/k", Rights: rights,
			}, id == "K"
		},
	}
	rt := &Router{
		Services: []Service{s}, Fallback: s, Gate: gate, Control: http.NotFoundHandler(), Unknown: NotHere(s.Name),
		Intake: &Intake{Memory: 1 << 20},
	}
	return func(body string, change func(*http.Request)) (int, string) {
		t.Helper()
		r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", s.Target+".Do")
		sigv4.Sign(r, sigv4.Digest([]byte(body)), sigv4.Key{ID: "K", Secret: "secret"}, sigv4.Scope{
			Region: "eu-west-1", Service: s.Name,
		}, gateAt)
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
}

// echo answers with the body and the caller, once it has asked whether the caller may.
func echo(w http.ResponseWriter, r *http.Request) {
	c := CallerOf(r.Context())
	if err := Permit(r, "Do"); err != nil {
		f := AsFault(err, "", c, nil)
		WriteJSON(w, f.Status, "", map[string]string{"__type": f.Code, "message": f.Message})
		return
	}
	body, err := ReadBody(r, 100)
	if err != nil {
		WriteJSON(w, 500, "", err.Error())
		return
	}
	_, _ = io.WriteString(w, c.Account+" "+c.Region+" "+c.Service+" "+c.Holder()+" "+string(body))
}

func TestAGateLetsInWhoProvesWhoHeIs(t *testing.T) {
	t.Parallel()
	s := Service{Name: "toys", Target: "Toys", Needs: Header, Handler: http.HandlerFunc(echo), MaxBody: 50}
	send := gated(t, s, nil)
	if status, answer := send("hello", nil); status != 200 ||
		answer != "111111111111 eu-west-1 toys arn:aws:iam::111111111111:user/k hello" {
		t.Errorf("signed: %d %s", status, answer)
	}
	if status, answer := send(strings.Repeat("x", 51), nil); status != 413 {
		t.Errorf("a body above the limit of the service: %d %s", status, answer)
	}
	if status, answer := send("hello", func(r *http.Request) { r.Body = http.NoBody }); status != 403 {
		t.Errorf("without its body: %d %s", status, answer)
	}
	if status, _ := gated(t, s, only("Do"))("hello", nil); status != 200 {
		t.Errorf("what the key may do: %d", status)
	}
	if status, answer := gated(t, s, only("Other"))("hello", nil); status != 403 || !strings.Contains(answer,
		"AccessDeniedException") || !strings.Contains(answer, "User: arn:aws:iam::111111111111:user/k is not "+
		"authorized to perform: toys:Do because no identity-based policy allows the toys:Do action") {
		t.Errorf("what the key may not do: %d %s", status, answer)
	}
}

// An answer of which nobody has asked whether the caller may have it does not leave, whatever a service forgets.
func TestAGateThatNobodyAsksLetsNothingOut(t *testing.T) {
	t.Parallel()
	careless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "6")
		w.Header().Set("X-Secret", "1")
		_, _ = io.WriteString(w, "secret")
	}
	silent := func(http.ResponseWriter, *http.Request) {}
	for name, h := range map[string]http.HandlerFunc{"careless": careless, "silent": silent} {
		for needs, what := range map[Mark]string{Header: "asks for nothing", OwnOrder: "verifies nothing"} {
			s := Service{Name: "toys", Target: "Toys", Needs: needs, Handler: h}
			if status, answer := gated(t, s, nil)("", nil); status != 500 || answer != "" {
				t.Errorf("%s, %s: %d %q", name, what, status, answer)
			}
		}
	}
	asks := func(w http.ResponseWriter, r *http.Request) {
		if err := Permit(r, "Do"); err == nil {
			t.Error("a request that nobody has verified is permitted")
		}
	}
	s := Service{Name: "toys", Target: "Toys", Needs: OwnOrder, Handler: http.HandlerFunc(asks)}
	if status, _ := gated(t, s, only("Do"))("", nil); status != 500 {
		t.Errorf("answered %d", status)
	}
}

// A service with its own order of checks asks for the caller, with the body that it has read.
func TestAServiceWithItsOwnOrderAuthenticates(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := ReadBody(r, 100)
		c, err := Authenticate(r, body)
		if err == nil {
			err = Permit(r, "Do")
		}
		if err == nil {
			err = c.PermitStream(string(body), "arn:stream")
		}
		if f := (*fault.Error)(nil); errors.As(err, &f) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, f.Code+" "+f.Message)
			return
		}
		_, _ = io.WriteString(w, c.Account+" "+string(body))
	}
	s := Service{Name: "toys", Target: "Toys", Needs: OwnOrder, Handler: http.HandlerFunc(handler)}
	send := gated(t, s, only("Do"))
	if status, answer := send("mine", nil); status != 200 || answer != "111111111111 mine" {
		t.Errorf("signed: %d %s", status, answer)
	}
	if status, answer := send("yours", nil); status != 400 || answer != "AccessDeniedException User: "+
		"arn:aws:iam::111111111111:user/k is not authorized to perform: toys:Do on resource: arn:stream because no "+
		"identity-based policy allows the toys:Do action" {
		t.Errorf("another stream: %d %s", status, answer)
	}
	other := func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("Mine")) }
	if status, answer := send("mine", other); status != 400 ||
		!strings.HasPrefix(answer, "InvalidSignatureException ") {
		t.Errorf("another body: %d %s", status, answer)
	}
	unsigned := func(r *http.Request) { r.Header.Del("Authorization") }
	if status, answer := send("mine", unsigned); status != 400 ||
		answer != "MissingAuthenticationTokenException Missing Authentication Token" {
		t.Errorf("not signed: %d %s", status, answer)
	}
}
