package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage/memory"
)

const (
	orders  = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
	lambdas = "arn:aws:lambda:us-east-1:000000000000:function:"
)

// streams is a Sources in which orders, and nothing else, exists.
type streams struct{}

func (streams) Lookup(_ context.Context, arn, account, region string) (mapping.Source, error) {
	if arn != orders {
		return mapping.Source{}, fault.New(
			fault.CodeInvalidParameter, "Stream not found: %s", arn,
		).WithHint("create it first")
	}
	return mapping.Source{ID: 1, ARN: arn}, nil
}

func (streams) Starts(context.Context, uint32, string, record.Millis) (map[record.ShardID]record.Position, error) {
	return map[record.ShardID]record.Position{0: 1}, nil
}

// functions is a Functions in which every name but absent exists, with version 1 and alias live.
type functions struct{}

func (functions) Lookup(_ context.Context, name, account, region string) (
	arn, bare, hint string, ok bool, err error,
) {
	name, qualifier, qualified := strings.Cut(strings.TrimPrefix(name, lambdas), ":")
	arn = lambdas + name
	if qualified {
		arn += ":" + qualifier
	}
	if name == "broken" {
		return "", "", "", false, errors.New("secret detail")
	}
	known := !qualified || qualifier == "$LATEST" || qualifier == "1" || qualifier == "live"
	return arn, name, "", name != "absent" && known, nil
}

// bench is a handler over a room of its own.
type bench struct {
	t        *testing.T
	mappings *mapping.Mappings
	handler  http.Handler
}

func newBench(t *testing.T) *bench {
	c := clock.New(0)
	store := memory.New(memory.Options{Clock: c})
	m := mapping.New(mapping.Options{
		Coord: store.Coord(), Clock: c, Sources: streams{}, Functions: functions{}, AWSPace: true,
	})
	t.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{t, m, NewEventSourceMappings(m, slog.New(slog.DiscardHandler))}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// call sends a request; target is what follows EventSourceMappingsPath.
func (b *bench) call(method, target, body string) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, EventSourceMappingsPath+target, strings.NewReader(body))
	r = r.WithContext(wire.WithCaller(r.Context(), wire.Caller{
		Account: "000000000000", Region: "us-east-1", RequestID: "r-1", Signed: true,
	}))
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
		b.t.Fatalf("%s %s: body %q: %v", method, target, w.Body, err)
	}
	if id := w.Header().Get("x-amzn-RequestId"); id != "r-1" {
		b.t.Errorf("%s %s: request id %q", method, target, id)
	}
	return a
}

// create posts the smallest valid Create with more members, which win.
func (b *bench) create(more string) answer {
	b.t.Helper()
	body := `{"EventSourceArn":"` + orders + `","FunctionName":"f","StartingPosition":"LATEST"`
	if more != "" {
		body += "," + more
	}
	return b.call("POST", "", body+"}")
}

// settle reports every transition under way as complete, like the engine.
func (b *bench) settle() {
	b.t.Helper()
	all, err := b.mappings.All(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range all {
		switch {
		case m.State == mapping.Deleting:
			err = b.mappings.Removed(b.t.Context(), m.UUID)
		case m.Enabled:
			err = b.mappings.Settled(b.t.Context(), m.UUID, m.Version, mapping.Enabled)
		default:
			err = b.mappings.Settled(b.t.Context(), m.UUID, m.Version, mapping.Disabled)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantFault checks status, code and body of a refusal.
func (a answer) wantFault(t *testing.T, status int, code string, body map[string]any) {
	t.Helper()
	if got := a.header.Get("x-amzn-errortype"); a.status != status || got != code {
		t.Errorf("%d %s, want %d %s", a.status, got, status, code)
	}
	if d := cmp.Diff(body, a.body); d != "" {
		t.Error(d)
	}
}
