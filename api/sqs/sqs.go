// Package sqs serves Amazon SQS's JSON protocol (X-Amz-Target: AmazonSQS.<operation>) and its older query protocol in
// front of companion/queue.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/queue decides what a queue
// does. One file per operation. Operations and parameters that AWS has and this room does not are refused by name. The
// shapes are those of the SQS API Reference; docs/compat/sqs.md lists what differs.
package sqs

import (
	"log/slog"
	"net/http"

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

// Handler serves SQS.
type Handler struct {
	queues *queue.Queues

	json  *wire.RPC[*Handler, params]
	query *wire.Query[*Handler, params]
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := wire.Faults{
		Internal: queue.CodeInternal, Unavailable: fault.CodeUnavailable, Stopped: []error{queue.ErrStopped},
		Log: o.Log,
	}
	h := &Handler{queues: o.Queues}
	h.json = &wire.RPC[*Handler, params]{
		Of: h, Model: &model, Target: Target, Read: wire.JSONBody(maxRequestBytes, parse), Write: write,
		Fault:  faults.Of,
		Refuse: Refuse,
	}
	h.query = &wire.Query[*Handler, params]{
		Of: h, Model: &model, Namespace: queryNamespace, Limit: maxRequestBytes, Read: readForm, Result: queryAnswer,
		Unknown: unknownAction, Fault: faults.Of, Refuse: Refuse,
	}
	return h
}

// absent refuses what Amazon SQS has and this room does not.
const absent = wire.Absent("sqs")

// operation is a row of the model; a nil answer is an empty JSON object.
type operation = wire.Operation[*Handler, params]

// model is what Amazon SQS has.
var model = wire.Model[operation]{
	Absent: absent,
	Served: map[string]operation{
		"AddPermission":      {Serve: (*Handler).addPermission},
		"CreateQueue":        {Serve: (*Handler).createQueue},
		"DeleteMessage":      {Serve: (*Handler).deleteMessage},
		"DeleteQueue":        {Serve: (*Handler).deleteQueue},
		"GetQueueAttributes": {Serve: (*Handler).getQueueAttributes},
		"GetQueueUrl":        {Serve: (*Handler).getQueueURL},
		"ListQueueTags":      {Serve: (*Handler).listQueueTags},
		"ListQueues":         {Serve: (*Handler).listQueues},
		"PurgeQueue":         {Serve: (*Handler).purgeQueue},
		"ReceiveMessage":     {Serve: (*Handler).receiveMessage},
		"RemovePermission":   {Serve: (*Handler).removePermission},
		"SendMessage":        {Serve: (*Handler).sendMessage},
		"SetQueueAttributes": {Serve: (*Handler).setQueueAttributes},
		"TagQueue":           {Serve: (*Handler).tagQueue},
		"UntagQueue":         {Serve: (*Handler).untagQueue},
	},
	Others: `CancelMessageMoveTask ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessageBatch
		ListDeadLetterSourceQueues ListMessageMoveTasks SendMessageBatch StartMessageMoveTask`,
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "sqs", Target: Target, Needs: wire.Header, Dialect: wire.Forms, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: queue.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken,
		},
	}
}

// Refuse answers a fault in the protocol of the request.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	if usesQuery(r) {
		writeQueryFault(w, wire.CallerOf(r.Context()), f)
		return
	}
	writeFault(w, r, f)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if usesQuery(r) {
		h.query.ServeHTTP(w, r)
		return
	}
	h.json.ServeHTTP(w, r)
}

func write(w http.ResponseWriter, _ wire.Caller, _ params, answer any) {
	if answer == nil {
		answer = struct{}{}
	}
	wire.WriteJSON(w, http.StatusOK, contentType, answer)
}
