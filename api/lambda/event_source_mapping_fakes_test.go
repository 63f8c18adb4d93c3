package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// memCoord is a storage.Coord in a map.
type memCoord struct {
	mu      sync.Mutex
	rev     storage.Revision
	values  map[string]storage.Entry
	changed chan struct{}
}

func newMemCoord() *memCoord {
	return &memCoord{values: map[string]storage.Entry{}, changed: make(chan struct{})}
}

func (c *memCoord) Get(_ context.Context, key string) (storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key], nil
}

func (c *memCoord) List(_ context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []storage.Entry
	for _, k := range slices.Sorted(maps.Keys(c.values)) {
		if strings.HasPrefix(k, prefix) && k > after && (n <= 0 || len(out) < n) {
			out = append(out, c.values[k])
		}
	}
	return out, nil
}

func (c *memCoord) Commit(_ context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		if !strings.HasPrefix(op.Key, group) {
			return 0, fmt.Errorf("key %s outside group %s", op.Key, group)
		}
		if op.Expect != storage.Any && op.Expect != c.values[op.Key].Revision {
			return 0, storage.ErrConflict
		}
	}
	c.rev++
	for _, op := range ops {
		if op.Value == nil {
			delete(c.values, op.Key)
		} else {
			c.values[op.Key] = storage.Entry{Key: op.Key, Value: slices.Clone(op.Value), Revision: c.rev}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return c.rev, nil
}

func (c *memCoord) Changed(string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

const (
	orders  = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
	lambdas = "arn:aws:lambda:us-east-1:000000000000:function:"
)

// streams is a Sources in which orders, and nothing else, exists.
type streams struct{}

func (streams) Lookup(_ context.Context, arn, account, region string) (mapping.Source, error) {
	if arn != orders {
		return mapping.Source{}, fault.New("InvalidParameterValueException", "Stream not found: %s", arn).WithHint("create it first")
	}
	return mapping.Source{ID: 1, ARN: arn}, nil
}

func (streams) Starts(context.Context, uint32, string, record.Millis) (map[record.ShardID]record.Position, error) {
	return map[record.ShardID]record.Position{0: 1}, nil
}

// functions is a Functions in which every name but absent exists.
type functions struct{}

func (functions) Lookup(_ context.Context, name, account, region string) (string, string, string, bool, error) {
	name = strings.TrimPrefix(name, lambdas)
	if name == "broken" {
		return "", "", "", false, errors.New("secret detail")
	}
	return lambdas + name, name, "", name != "absent", nil
}

// bench is a handler over a room of its own.
type bench struct {
	t        *testing.T
	mappings *mapping.Mappings
	handler  http.Handler
}

func newBench(t *testing.T) *bench {
	m := mapping.New(mapping.Options{Coord: newMemCoord(), Clock: clock.New(0), Sources: streams{}, Functions: functions{}, AWSPace: true})
	t.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
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
	r = r.WithContext(wire.WithCaller(r.Context(), wire.Caller{Account: "000000000000", Region: "us-east-1", RequestID: "r-1", Signed: true}))
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

// settle reports, as the engine does, whatever is under way as complete.
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
