package wiretest

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// StreamTarget is the X-Amz-Target of the one operation of Streams.
const StreamTarget = "Wiretest_20260101.Follow"

// Follow is the operation of Streams: what a test wants an operation to do that owns its answer.
type Follow func(ctx context.Context, out *wire.Stream) error

// Streams returns a service that AWS does not have, of one operation that owns its answer. Its protocol is that of
// JSON, with the parts of follow as answer; broken, which may be nil, makes the last part of a stream that fails.
func Streams(follow Follow, broken func(*fault.Error) []byte) wire.Service {
	faults := wire.Faults{
		Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Log: slog.New(slog.DiscardHandler),
	}
	refuse := func(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
		wire.WriteJSON(w, f.Status, "application/json", map[string]string{"__type": f.Code, "message": f.Message})
	}
	return wire.Service{
		Name: "wiretest", Target: "Wiretest_20260101", Needs: wire.Header, Refuse: refuse,
		Handler: &wire.RPC[Follow, []byte]{
			Of: follow, Target: "Wiretest_20260101", Fault: faults.Of, Refuse: refuse, Broken: broken,
			Read: wire.JSONBody(1<<20, func(body []byte) ([]byte, error) { return body, nil }),
			Model: &wire.Model[wire.Operation[Follow, []byte]]{
				Absent: "wiretest",
				Served: map[string]wire.Operation[Follow, []byte]{
					"Follow": {Stream: func(
						f Follow, ctx context.Context, _ wire.Caller, _ []byte, out *wire.Stream,
					) error {
						return f(ctx, out)
					}},
				},
			},
		},
	}
}
