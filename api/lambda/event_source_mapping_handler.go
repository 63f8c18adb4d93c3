package lambda

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/mapping"
)

// EventSourceMappingsPath is where the operations on event source mappings live.
const EventSourceMappingsPath = "/2015-03-31/event-source-mappings"

// maxMappingBody is how large a request may be, in bytes. Ten filters of 4,096 characters and every other member at its
// limit are far below.
const maxMappingBody = 1 << 20

// EventSourceMappings serves Create, Get, List, Update and DeleteEventSourceMapping. Safe for concurrent use.
type EventSourceMappings struct {
	mappings *mapping.Mappings
	log      *slog.Logger
}

// NewEventSourceMappings fronts m. Internal errors go to log.
func NewEventSourceMappings(m *mapping.Mappings, log *slog.Logger) *EventSourceMappings {
	return &EventSourceMappings{mappings: m, log: log}
}

// mappingResult is a successful answer.
type mappingResult struct {
	status int
	body   any
	hint   string
}

// ServeHTTP answers the five operations under EventSourceMappingsPath; anything else there is an unknown operation. A
// request without a signature is refused: a web page can send one to this port, but cannot sign it without asking
// first.
func (h *EventSourceMappings) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	wire.SetIDs(w.Header(), c)
	var res mappingResult
	err := error(errUnsigned)
	if c.Signed {
		res, err = h.serve(r, c)
	}
	if err != nil {
		writeFault(w, wire.AsFault(err, "ServiceException", c, h.log))
		return
	}
	wire.Hint(w.Header(), res.hint)
	wire.WriteJSON(w, res.status, "application/json", res.body)
}

func (h *EventSourceMappings) serve(r *http.Request, c wire.Caller) (mappingResult, error) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), EventSourceMappingsPath)
	uuid, err := url.PathUnescape(strings.Trim(rest, "/"))
	if !ok || err != nil || (rest != "" && rest[0] != '/') || strings.Contains(strings.Trim(rest, "/"), "/") {
		return mappingResult{}, unknownMappingOperation(r)
	}
	switch {
	case uuid == "" && r.Method == http.MethodGet:
		return h.list(r, c)
	case uuid != "" && r.Method == http.MethodGet:
		return h.get(r, c, uuid)
	case uuid != "" && r.Method == http.MethodDelete:
		return h.remove(r, c, uuid)
	}
	create, update := uuid == "" && r.Method == http.MethodPost, uuid != "" && r.Method == http.MethodPut
	if !create && !update {
		return mappingResult{}, unknownMappingOperation(r)
	}
	body, err := readBody(r, maxMappingBody, func() error {
		return fault.New(fault.CodeTooLarge, "Request must be smaller than %d bytes.", maxMappingBody)
	})
	if err != nil {
		return mappingResult{}, err
	}
	if err := wire.ChargeTree(r.Context(), body); err != nil {
		return mappingResult{}, err
	}
	if create {
		return h.create(r, c, body)
	}
	return h.update(r, c, uuid, body)
}

// permit judges whether the caller may use the stream of a mapping. One that is not there is the operation's to tell.
func (h *EventSourceMappings) permit(ctx context.Context, c wire.Caller, uuid string) error {
	if c.Rights() == nil {
		return nil
	}
	m, err := h.mappings.Get(ctx, mappingCaller(c), uuid)
	if err != nil {
		return nil
	}
	return permitSource(c, m.EventSourceARN)
}

// permitSource judges whether the caller may use the stream that an ARN names, or the consumer of which it names.
func permitSource(c wire.Caller, source string) error {
	a, _ := arn.Parse(source)
	name, ok := strings.CutPrefix(a.Resource, "stream/")
	if !ok {
		return nil // no stream, which is refused for that
	}
	name, _, _ = strings.Cut(name, "/")
	return c.PermitStream(name, source)
}

var errUnsigned = &fault.Error{Code: fault.CodeMissingToken, Message: "Missing Authentication Token"}

// unknownMappingOperation answers a method and path that no operation of AWS's model has.
func unknownMappingOperation(r *http.Request) error {
	return fault.New(
		fault.CodeUnknownOperation, "No operation of Lambda has %s %s.", r.Method, r.URL.Path,
	).WithStatus(http.StatusNotFound)
}
