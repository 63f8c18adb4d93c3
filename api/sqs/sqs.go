// Package sqs speaks Amazon SQS' JSON protocol (X-Amz-Target: AmazonSQS.<operation>) and its older query protocol in
// front of companion/queue.
//
// In flow HTTP requests that wire.Router has picked, out flow AWS's answers; what a queue does is decided in
// companion/queue. One file per operation. Operations and parameters that AWS has and this room does not are refused by
// name. The shapes are those of the SQS API Reference; docs/compat/sqs.md lists what differs.
package sqs

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// Target is the prefix of X-Amz-Target that means this service, for wire.Service.
const Target = "AmazonSQS"

// maxRequestBytes bounds a request before it is read: a message of 1 MiB in which JSON writes every byte as a \u escape
// of six, and room around it.
const maxRequestBytes = 6*queue.MaxMessageBytes + 1<<20

// Options are what the handler needs. Queues is required; a nil Log is silent.
type Options struct {
	Queues *queue.Queues
	Log    *slog.Logger
}

// Handler answers SQS requests.
type Handler struct {
	queues *queue.Queues
	log    *slog.Logger
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{queues: o.Queues, log: o.Log}
}

// operation answers one request; a nil answer is an empty JSON object.
type operation func(*Handler, context.Context, wire.Caller, params) (any, error)

// operations are all that the service's model has. nil: known, not here.
var operations = map[string]operation{
	"AddPermission":                nil,
	"CancelMessageMoveTask":        nil,
	"ChangeMessageVisibility":      nil,
	"ChangeMessageVisibilityBatch": nil,
	"CreateQueue":                  (*Handler).createQueue,
	"DeleteMessage":                (*Handler).deleteMessage,
	"DeleteMessageBatch":           nil,
	"DeleteQueue":                  (*Handler).deleteQueue,
	"GetQueueAttributes":           (*Handler).getQueueAttributes,
	"GetQueueUrl":                  (*Handler).getQueueURL,
	"ListDeadLetterSourceQueues":   nil,
	"ListMessageMoveTasks":         nil,
	"ListQueueTags":                nil,
	"ListQueues":                   (*Handler).listQueues,
	"PurgeQueue":                   (*Handler).purgeQueue,
	"ReceiveMessage":               (*Handler).receiveMessage,
	"RemovePermission":             nil,
	"SendMessage":                  (*Handler).sendMessage,
	"SendMessageBatch":             nil,
	"SetQueueAttributes":           nil,
	"StartMessageMoveTask":         nil,
	"TagQueue":                     nil,
	"UntagQueue":                   nil,
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "sqs", Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: queue.CodeInternal, Unavailable: codeUnavailable, Unsigned: wire.CodeMissingToken},
	}
}

// Refuse answers a fault that no operation gave.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	if r.Header.Get("X-Amz-Target") == "" && usesQuery(r) {
		writeQueryFault(w, wire.CallerOf(r.Context()), f)
		return
	}
	writeFault(w, r, f)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	wire.SetIDs(w.Header(), c)
	target := r.Header.Get("X-Amz-Target")
	if target == "" && usesQuery(r) {
		h.serveQuery(w, r, c)
		return
	}
	answer, err := h.answer(r, c, target)
	if err != nil {
		writeFault(w, r, h.faultOf(err, c))
		return
	}
	if answer == nil {
		answer = struct{}{}
	}
	wire.WriteJSON(w, http.StatusOK, contentType, answer)
}

func (h *Handler) answer(r *http.Request, c wire.Caller, target string) (any, error) {
	service, name, _ := strings.Cut(target, ".")
	op, known := operations[name]
	if service != Target || !known || r.Method != http.MethodPost {
		return nil, &fault.Error{Code: codeUnknownOperation}
	}
	if op == nil {
		return nil, wire.NotImplemented("Amazon SQS", name)
	}
	body, err := wire.ReadBody(r, maxRequestBytes)
	if err != nil {
		return nil, err
	}
	if err := wire.ChargeTree(r.Context(), body); err != nil {
		return nil, err
	}
	p, err := parse(body)
	if err != nil {
		return nil, err
	}
	return op(h, r.Context(), c, p)
}
