package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// shop is a service of one operation, in every protocol that has a dispatcher, which notes what it does.
type shop struct {
	did   []string
	fails error
}

func (s *shop) sell(_ context.Context, c Caller, in string) (any, error) {
	s.did = append(s.did, "sell "+in+" to "+c.Account)
	return "sold", s.fails
}

var shopModel = Model[Operation[*shop, string]]{
	Absent: "shop",
	Served: map[string]Operation[*shop, string]{"Sell": {Serve: (*shop).sell}},
	Others: "Buy Rent",
}

func (s *shop) refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	WriteJSON(w, f.Status, "application/json", f.Code+": "+f.Message)
}

func (s *shop) faults() *Faults {
	return &Faults{Internal: "InternalFailure", Unavailable: "Unavailable", Log: slog.New(slog.DiscardHandler)}
}

func (s *shop) rpc() *RPC[*shop, string] {
	return &RPC[*shop, string]{
		Of: s, Model: &shopModel, Target: "Shop", Fault: s.faults().Of, Refuse: s.refuse,
		Read: JSONBody(100, func(body []byte) (string, error) {
			if len(body) == 0 {
				return "", fault.New("Empty", "There is nothing.")
			}
			return string(body), nil
		}),
		Write: func(w http.ResponseWriter, c Caller, in string, answer any) {
			s.did = append(s.did, "write "+in)
			WriteJSON(w, http.StatusOK, "application/json", answer)
		},
		Done: func(in string) { s.did = append(s.did, "done "+in) },
	}
}

func (s *shop) query() *Query[*shop, string] {
	return &Query[*shop, string]{
		Of: s, Model: &shopModel, Namespace: "urn:shop", Limit: 100, Fault: s.faults().Of, Refuse: s.refuse,
		Read: func(_ *http.Request, _ Caller, form Form) (string, error) {
			if !form.Has("What") {
				return "", fault.New("Empty", "There is nothing.")
			}
			return form.Get("What"), nil
		},
		Unknown: func(action string) *fault.Error { return fault.New("Unknown", "There is no %s.", action) },
	}
}

// send sends a request as a caller.
func send(t *testing.T, h http.Handler, r *http.Request) (status int, answer string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(WithCaller(t.Context(), Caller{Account: "111122223333", RequestID: "r-1"})))
	if id := w.Header().Get("X-Amzn-Requestid"); id != "r-1" && r.Header.Get("X-Amz-Target") != "" && w.Code != 204 {
		t.Errorf("%s %s is answered %d with the request id %q", r.Method, r.URL, w.Code, id)
	}
	return w.Code, w.Body.String()
}

func target(name, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", name)
	return r
}

func method(name string, r *http.Request) *http.Request {
	r.Method = name
	return r
}

const noRent = `501 "NotImplementedException: shardmill does not implement shop Rent yet; see docs/compat/shop.md."`

// An operation is served by POST under its own target; what AWS has besides is 501 by any method, the rest is unknown.
func TestRPCDispatchesByTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r      *http.Request
		answer string
		did    []string
	}{
		"served": {
			target("Shop.Sell", "tea"), `200 "sold"`, []string{"sell tea to 111122223333", "write tea", "done tea"},
		},
		"by GET":           {method("GET", target("Shop.Sell", "tea")), `400 "UnknownOperationException: "`, nil},
		"absent":           {target("Shop.Rent", "tea"), noRent, nil},
		"absent, by GET":   {method("GET", target("Shop.Rent", "tea")), noRent, nil},
		"part of a name":   {target("Shop.Re", "tea"), `400 "UnknownOperationException: "`, nil},
		"unknown":          {target("Shop.Steal", "tea"), `400 "UnknownOperationException: "`, nil},
		"no operation":     {target("Shop.", "tea"), `400 "UnknownOperationException: "`, nil},
		"another service":  {target("Shops.Sell", "tea"), `400 "UnknownOperationException: "`, nil},
		"absent elsewhere": {target("Shops.Rent", "tea"), `400 "UnknownOperationException: "`, nil},
		"without a target": {httptest.NewRequest("POST", "/", nil), `400 "UnknownOperationException: "`, nil},
		"not decoded":      {target("Shop.Sell", ""), `400 "Empty: There is nothing."`, nil},
		"too long": {
			target("Shop.Sell", strings.Repeat("x", 101)),
			`413 "RequestEntityTooLargeException: Request size exceeded 100 bytes."`, nil,
		},
	} {
		s := &shop{}
		status, answer := send(t, s.rpc(), c.r)
		if got := fmt.Sprintf("%d %s", status, answer); got != c.answer || !slices.Equal(s.did, c.did) {
			t.Errorf("%s: %s after %q, want %s after %q", name, got, s.did, c.answer, c.did)
		}
	}
}

// An input whose operation fails is done with, too, and the error is told.
func TestAnInputIsDoneWithOnce(t *testing.T) {
	t.Parallel()
	s := &shop{fails: errors.New("the disk")}
	status, answer := send(t, s.rpc(), target("Shop.Sell", "tea"))
	if want := []string{"sell tea to 111122223333", "done tea"}; status != 500 || answer != `"InternalFailure: "` ||
		!slices.Equal(s.did, want) {
		t.Errorf("%d %s after %q", status, answer, s.did)
	}
}

// What Read has answered has its answer.
func TestReadMayAnswerItself(t *testing.T) {
	t.Parallel()
	s := &shop{}
	d := s.rpc()
	d.Read = func(w http.ResponseWriter, _ *http.Request, _ Caller, refused *fault.Error) (string, error) {
		if refused == nil || refused.Code != fault.CodeNotImplemented {
			t.Errorf("refused for %v", refused)
		}
		w.WriteHeader(http.StatusNoContent)
		return "", ErrAnswered
	}
	if status, answer := send(t, d, target("Shop.Rent", "tea")); status != 204 || answer != "" || s.did != nil {
		t.Errorf("%d %s after %q", status, answer, s.did)
	}
}

// A path may name the operation, and then X-Amz-Target does not.
func TestRPCDispatchesByPath(t *testing.T) {
	t.Parallel()
	s := &shop{}
	d := s.rpc()
	d.Path = "/service/Shop/operation/"
	for path, want := range map[string]int{
		"/service/Shop/operation/Sell": 200, "/service/Shop/operation/Rent": 501, "/service/Shop/operation/": 400,
		"/service/Shop/operation/Sell/x": 400, "/Sell": 400,
	} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("tea"))
		r.Header.Set("X-Amz-Target", "Shop.Sell")
		if status, answer := send(t, d, r); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, answer, want)
		}
	}
}

// A body that nothing is made of is not read.
func TestWhatIsRefusedIsNotRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Shop.Rent", "Shop.Steal", "Shops.Sell"} {
		r := target(name, "")
		r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			t.Errorf("the body of %s is read", name)
			return 0, io.EOF
		}))
		_, _ = send(t, (&shop{}).rpc(), r)
	}
}

// A form names its operation as Action, in its body or in the URL.
func TestQueryDispatchesByAction(t *testing.T) {
	t.Parallel()
	const sold = `200 <?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<SellResponse xmlns="urn:shop"><SellResult>sold</SellResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></SellResponse>`
	form := func(fields string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	for name, c := range map[string]struct {
		r      *http.Request
		answer string
	}{
		"served":        {form("Action=Sell&What=tea"), sold},
		"by GET":        {httptest.NewRequest("GET", "/?Action=Sell&What=tea", nil), sold},
		"by PUT":        {method("PUT", form("Action=Sell&What=tea")), `400 "Unknown: There is no Sell."`},
		"absent":        {form("Action=Rent"), noRent},
		"absent by PUT": {method("PUT", form("Action=Rent")), noRent},
		"unknown":       {form("Action=Steal"), `400 "Unknown: There is no Steal."`},
		"none":          {form("What=tea"), `400 "MissingAction: The request must contain the parameter Action."`},
		"not read":      {form("Action=Sell"), `400 "Empty: There is nothing."`},
		"too long": {
			form("Action=Sell&What=" + strings.Repeat("x", 100)),
			`413 "RequestEntityTooLarge: The request is longer than 100 bytes."`,
		},
	} {
		s := &shop{}
		status, answer := send(t, s.query(), c.r)
		if got := fmt.Sprintf("%d %s", status, answer); got != c.answer {
			t.Errorf("%s: %s\nwant %s", name, got, c.answer)
		}
	}
	s := &shop{}
	d := s.query()
	d.Result = func(answer any) any { return answer.(string) + " out" }
	if _, answer := send(t, d, form("Action=Sell&What=tea")); !strings.Contains(answer, ">sold out<") {
		t.Errorf("an answer that is not XML yet: %s", answer)
	}
	s.fails = errors.New("the disk")
	if status, answer := send(t, d, form("Action=Sell&What=tea")); status != 500 || answer != `"InternalFailure: "` {
		t.Errorf("%d %s", status, answer)
	}
}

// A parameter is refused under the service's own code, in the same words everywhere.
func TestAParameterIsRefusedByName(t *testing.T) {
	t.Parallel()
	f := Absent("shop").Parameter("InvalidThing", "the parameter Colour")
	if f.Code != "InvalidThing" || f.Status != 0 ||
		f.Message != "shardmill does not support the parameter Colour yet; see docs/compat/shop.md." {
		t.Errorf("%+v", f)
	}
}

// A body of many small values takes a multiple of its text once it is decoded, and is charged for it.
func TestWhatABodyTakesDecodedIsCharged(t *testing.T) {
	t.Parallel()
	body := "[" + strings.Repeat("1,", 1000) + "1]"
	for memory, want := range map[int64]int{40 << 10: http.StatusServiceUnavailable, 80 << 10: http.StatusOK} {
		d := (&shop{}).rpc()
		d.Read = JSONBody(1<<20, func(body []byte) (string, error) { return string(body), nil })
		rt := &Router{
			Services: []Service{{Name: "shop", Target: "Shop", Needs: OwnOrder, Handler: d}},
			Intake:   &Intake{Memory: memory},
		}
		w := httptest.NewRecorder()

		r := target("Shop.Sell", body)
		r.Host = "127.0.0.1"

		rt.ServeHTTP(w, r)

		if w.Code != want {
			t.Errorf("with %d bytes: %d %s", memory, w.Code, w.Body)
		}
	}
}
