package wire

import "context"

// Operation is a row of a service's model: H carries it out on an input that the dispatcher has read.
// Exactly one field is set.
type Operation[H, In any] struct {
	// Serve returns the answer, or nil for an operation without one. An error other than a *fault.Error is our own
	// fault.
	Serve func(h H, ctx context.Context, c Caller, in In) (answer any, err error)

	// Stream owns the answer, which it sends in parts. The query protocol has no such operations.
	Stream func(h H, ctx context.Context, c Caller, in In, out *Stream) error
}

// Input fills a struct whose fields are the members of an operation's input.
type Input func(into any) error

// Typed is a row whose operation takes a struct.
func Typed[H, T any](serve func(h H, ctx context.Context, c Caller, in *T) (any, error)) Operation[H, Input] {
	return Operation[H, Input]{Serve: func(h H, ctx context.Context, c Caller, read Input) (any, error) {
		in := new(T)
		if err := read(in); err != nil {
			return nil, err
		}
		return serve(h, ctx, c, in)
	}}
}
