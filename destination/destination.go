// Package destination announces discarded records: the notice's document, the contract of a destination, and one file
// per kind.
//
// A notice says which records were given up, why, and after how many invocations. Only a bucket gets the records, too:
// the event that the function would have got. The document follows the Lambda Developer Guide, "Retain discarded batch
// records for a Kinesis Data Streams event source in Lambda", member for member.
package destination

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Sending is a notice on its way to a destination.
type Sending struct {
	ID      string // the same for every repeat of the notice, after a crash, too
	Mapping string // UUID of the mapping that gave the records up
	// Function is the ARN of the mapping's function, in whose name the notice is sent
	Function string
	Shard    string    // for example shardId-000000000000
	At       time.Time // when they were given up, as Body says
	Body     []byte    // a Document
}

// Sender delivers notices to one destination.
type Sender interface {
	// Send returns when the notice is durable at the destination. A repeat with the same id may be dropped by the
	// receiver, or take the place of the first. Refused decides whether an error uses up a try. When ctx ends the
	// notice may or may not have arrived. The caller owns the body again once Send has returned.
	Send(ctx context.Context, n Sending) error
	// Payload reports whether notices for this destination carry the records: see Notice.Payload.
	Payload() bool
}

// Refused reports whether an error of a Sender means that the destination said no, which uses up a try. Failure, stop
// or overload of one of our own rooms does not: the notice is sent again for as long as that lasts.
func Refused(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && !slices.Contains(ownFaults, f.Code)
}

// ownFaults are codes with which a destination says that the fault is its own, not the notice's.
var ownFaults = []string{
	"InternalFailure", "ServiceUnavailable", "RequestThrottled", // of queues
	"InternalError", "Throttled", // of topics
	"SlowDown", // of buckets, beside two of the above
}

// Kind is one kind of destination: it recognises its ARNs and opens them.
type Kind struct {
	Service string
	Open    func(arn.ARN) Sender
}

// Table lists the kinds that a process has. It is built once, by server.
type Table []Kind

// Has reports whether there are destinations of a service.
func (t Table) Has(service string) bool {
	return slices.ContainsFunc(t, func(k Kind) bool { return k.Service == service })
}

// Open returns the sender for a destination ARN.
func (t Table) Open(text string) (Sender, error) {
	a, ok := arn.Parse(text)
	if !ok {
		return nil, fault.New(fault.CodeInvalidParameter, "The destination %s is not an ARN.", text)
	}
	for _, k := range t {
		if k.Service == a.Service {
			return k.Open(a), nil
		}
	}
	return nil, fault.New(fault.CodeInvalidParameter, "Destinations of service %s are not supported.", a.Service)
}
