// Package destination announces discarded records: the notice's document, the contract of a destination, and one file
// per kind.
//
// A notice holds metadata only, as AWS's does for queues: which records, why, after how many invocations. Its document
// follows the Lambda Developer Guide, "Retain discarded batch records for a Kinesis Data Streams event source in
// Lambda", member for member.
package destination

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Sender delivers notices to one destination.
type Sender interface {
	// Send returns when the notice is durable at the destination. A repeat with the same id may be dropped by the
	// receiver. Refused decides whether an error uses up a try. When ctx ends the notice may or may not have arrived.
	// The caller owns body again once Send has returned.
	Send(ctx context.Context, id string, body []byte) error
}

// Refused reports whether an error of a Sender means that the destination said no, which uses up a try. Failure, stop
// or overload of one of our own rooms does not: the notice is sent again for as long as that lasts.
func Refused(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && !slices.Contains(ownFaults, f.Code)
}

// ownFaults are codes with which a destination says that the fault is its own, not the notice's.
var ownFaults = []string{"InternalFailure", "InternalError", "ServiceUnavailable", "RequestThrottled", "SlowDown"}

// Kind is one kind of destination: it recognises its ARNs and opens them.
type Kind struct {
	Service string
	Open    func(arn.ARN) Sender
}

// Table lists the kinds that a process has. It is built once, by server.
type Table []Kind

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

// Queues is what the SQS kind needs from a queue service.
type Queues interface {
	SendNotice(ctx context.Context, account, region, queue, id string, body []byte) error
}

// SQS returns the kind of queue destinations: the message body is the notice.
func SQS(q Queues) Kind {
	return Kind{Service: "sqs", Open: func(a arn.ARN) Sender { return sqsSender{q, a} }}
}

type sqsSender struct {
	queues Queues
	arn    arn.ARN
}

func (s sqsSender) Send(ctx context.Context, id string, body []byte) error {
	return s.queues.SendNotice(ctx, s.arn.Account, s.arn.Region, s.arn.Resource, id, body)
}

// Notice is what a destination is sent about discarded records.
type Notice struct {
	RequestID     string // of the last invocation
	FunctionARN   string
	Condition     esm.Condition
	InvokeCount   int // approximateInvokeCount
	StatusCode    int // 0: the records were never given up because of an invocation, and there is no responseContext
	Version       string
	FunctionError string // "": the function reported the failure itself, shown as null
	At            time.Time
	BatchMember   string // for example KinesisBatchInfo
	Batch         []byte // its JSON
}

// Document returns the notice as JSON, with members in AWS's order.
func (n *Notice) Document() []byte {
	var b strings.Builder
	str := func(s string) { b.WriteString(quote(s)) }
	b.WriteString(`{"requestContext":{"requestId":`)
	str(n.RequestID)
	b.WriteString(`,"functionArn":`)
	str(n.FunctionARN)
	b.WriteString(`,"condition":`)
	str(string(n.Condition))
	b.WriteString(`,"approximateInvokeCount":` + strconv.Itoa(n.InvokeCount) + `}`)
	if n.StatusCode != 0 {
		b.WriteString(`,"responseContext":{"statusCode":` + strconv.Itoa(n.StatusCode) + `,"executedVersion":`)
		str(n.Version)
		b.WriteString(`,"functionError":`)
		if n.FunctionError == "" {
			b.WriteString(`null`)
		} else {
			str(n.FunctionError)
		}
		b.WriteString(`}`)
	}
	b.WriteString(`,"version":"1.0","timestamp":"` + n.At.UTC().Format("2006-01-02T15:04:05.000Z") + `",`)
	str(n.BatchMember)
	b.WriteString(`:`)
	b.Write(n.Batch)
	b.WriteString(`}`)
	return []byte(b.String())
}

// quote returns s as a JSON string. Angle brackets and ampersands stay readable: a notice is not put into a web page
// unescaped.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}
