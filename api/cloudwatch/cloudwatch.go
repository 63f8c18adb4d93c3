// Package cloudwatch speaks Amazon CloudWatch's metrics API in front of package metric, in all three protocols that
// clients use: query (2010-08-01), JSON 1.0 and RPC v2 CBOR.
//
// In flow HTTP requests that wire.Router has picked, out flow AWS's answers in the protocol of the request. There is
// one table of operations, whose inputs and outputs are plain structs with AWS's names; a codec per protocol reads and
// writes them. One file per operation. Operations and parameters that AWS has and this room does not are refused by
// name. The shapes are those of the CloudWatch API Reference; docs/compat/cloudwatch.md lists what differs.
package cloudwatch

import (
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
)

// Name and Target are how requests name this service, for wire.Service.
const (
	Name   = "monitoring"
	Target = "GraniteServiceVersion20100801"
)

// maxRequestBytes bounds a request as it is sent and as it is unpacked. AWS takes 1 MB; query forms of 1,000 metrics
// are longer than that.
const maxRequestBytes = 4 << 20

// Options are what the handler needs. Metrics is required; a nil Log is silent.
type Options struct {
	Metrics *metric.Store
	Log     *slog.Logger
}

// Handler answers CloudWatch requests.
type Handler struct {
	metrics *metric.Store
	log     *slog.Logger
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{metrics: o.Metrics, log: o.Log}
}

// codec is one protocol.
type codec interface {
	// operation is the name that the request gives; "" when it gives none.
	operation(r *http.Request) string
	// read fills an input from the request.
	read(r *http.Request, input any) error
	// write answers with an output; nil for operations that have none.
	write(w http.ResponseWriter, c wire.Caller, operation string, output any)
	// fault answers with an error. legacy is its code in the query protocol.
	fault(w http.ResponseWriter, c wire.Caller, legacy string, f *fault.Error)
}

// operation is one row of the table.
type operation struct {
	input func() any
	call  func(*Handler, wire.Caller, any) (any, error)
}

// on makes a row from a method. A nil output means that the operation has none.
func on[In any](call func(*Handler, wire.Caller, *In) (any, error)) *operation {
	return &operation{
		input: func() any { return new(In) },
		call:  func(h *Handler, c wire.Caller, in any) (any, error) { return call(h, c, in.(*In)) },
	}
}

// operations are all that the service's model has. nil: known, not here.
var operations = map[string]*operation{
	"GetMetricData":       on((*Handler).getMetricData),
	"GetMetricStatistics": on((*Handler).getMetricStatistics),
	"ListMetrics":         on((*Handler).listMetrics),
	"PutMetricData":       on((*Handler).putMetricData),

	"DeleteAlarmMuteRule": nil, "DeleteAlarms": nil, "DeleteAnomalyDetector": nil, "DeleteDashboards": nil,
	"DeleteInsightRules": nil, "DeleteMetricStream": nil,
	"DescribeAlarmContributors": nil, "DescribeAlarmHistory": nil, "DescribeAlarms": nil,
	"DescribeAlarmsForMetric": nil, "DescribeAnomalyDetectors": nil,
	"DescribeInsightRules": nil, "DisableAlarmActions": nil, "DisableInsightRules": nil, "EnableAlarmActions": nil,
	"EnableInsightRules": nil,
	"GetAlarmMuteRule":   nil, "GetDashboard": nil, "GetInsightRuleReport": nil, "GetMetricStream": nil,
	"GetMetricWidgetImage": nil, "GetOTelEnrichment": nil,
	"ListAlarmMuteRules": nil, "ListDashboards": nil, "ListManagedInsightRules": nil, "ListMetricStreams": nil,
	"ListTagsForResource": nil,
	"PutAlarmMuteRule":    nil, "PutAnomalyDetector": nil, "PutCompositeAlarm": nil, "PutDashboard": nil,
	"PutInsightRule": nil, "PutManagedInsightRules": nil,
	"PutMetricAlarm": nil, "PutMetricStream": nil, "SetAlarmState": nil, "StartMetricStreams": nil,
	"StartOTelEnrichment": nil, "StopMetricStreams": nil,
	"StopOTelEnrichment": nil, "TagResource": nil, "UntagResource": nil,
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: Name, Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: codeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken},
	}
}

// ServeHTTP answers one request in its protocol.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	p := protocol(r)
	name, output, err := h.answer(r, c, p)
	if err == nil {
		p.write(w, c, name, output)
		return
	}
	f := *wire.AsFault(err, codeInternal, c, h.log) // a copy: faults are shared
	if f.Err != nil {
		h.log.Warn("request refused", "request_id", c.RequestID, "code", f.Code, "error", f.Err)
	}
	if f.Status == 0 {
		f.Status = http.StatusBadRequest
	}
	Refuse(w, r, &f)
}

// Refuse answers with a fault in the protocol of the request.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.Hint(w.Header(), f.Hint)
	if r.Header.Get("X-Amzn-Query-Mode") == "true" {
		side := ";Sender"
		if f.Status >= 500 && f.Status != http.StatusNotImplemented {
			side = ";Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", legacyCode(f.Code)+side)
	}
	protocol(r).fault(w, wire.CallerOf(r.Context()), legacyCode(f.Code), f)
}

// protocol returns the codec that the request speaks.
func protocol(r *http.Request) codec {
	switch {
	case r.Header.Get("Smithy-Protocol") != "" && strings.HasPrefix(r.URL.Path, "/service/"):
		return rpcCBOR()
	case r.Header.Get("X-Amz-Target") != "":
		return jsonCodec{}
	}
	return queryCodec{}
}

// answer carries out the operation that the request names.
func (h *Handler) answer(r *http.Request, c wire.Caller, p codec) (name string, output any, err error) {
	if err := unpack(r); err != nil {
		return "", nil, err
	}
	form := p == codec(queryCodec{})
	if form { // the name stands in the body
		if err := (queryCodec{}).parse(r); err != nil {
			return "", nil, err
		}
	}
	name = p.operation(r)
	op, known := operations[name]
	switch {
	case !known:
		err = fault.New(codeUnknownOperation, "Could not find operation %s for version 2010-08-01", clip(name))
	case op == nil:
		err = wire.NotImplemented("Amazon CloudWatch", name)
	case r.Method != http.MethodPost && !form:
		err = fault.New(codeUnknownOperation, "The operation %s is called with POST.", name)
	}
	if err != nil {
		return name, nil, err
	}
	in := op.input()
	if err = p.read(r, in); err == nil {
		output, err = op.call(h, c, in)
	}
	return name, output, err
}

// unpack lets gzip, which SDKs use for PutMetricData, be read as what is in it.
func unpack(r *http.Request) error {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
		return nil
	case "gzip":
		z, err := gzip.NewReader(http.MaxBytesReader(nil, r.Body, maxRequestBytes))
		if err != nil {
			return bodyFault(err)
		}
		r.Body, r.ContentLength = unpacked{z, r.Context()}, -1
		return nil
	}
	return fault.New(codeSerialization, "The request body has a Content-Encoding other than gzip.").WithStatus(
		http.StatusUnsupportedMediaType,
	)
}

// unpacked counts what a body becomes as its own memory.
type unpacked struct {
	*gzip.Reader
	ctx context.Context
}

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if cerr := wire.Charge(u.ctx, int64(n)); cerr != nil {
		return 0, cerr
	}
	return n, err
}

// readBody returns the whole body.
func readBody(r *http.Request) ([]byte, error) {
	b, err := wire.AppendBody(nil, r, maxRequestBytes)
	if err != nil {
		return nil, bodyFault(err)
	}
	return b, nil
}

func bodyFault(err error) error {
	if fault.CodeOf(err) != "" {
		return err
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return fault.New(codeTooLarge, "Request size exceeded %d bytes.", maxRequestBytes).WithStatus(
			http.StatusRequestEntityTooLarge,
		)
	}
	return fault.New(codeSerialization, "The request body could not be read to its end.")
}

// clip cuts a caller's text to what one reads.
func clip(s string) string { return fault.Clip(s, 100) }
