// Package cloudwatch serves Amazon CloudWatch's metrics API in front of package metric, in all three protocols that
// clients use: query (2010-08-01), JSON 1.0 and RPC v2 CBOR.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers in the protocol of the request go out. There is
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

// Handler serves CloudWatch.
type Handler struct {
	metrics *metric.Store
	faults  wire.Faults

	json, cbor *wire.RPC[*Handler, wire.Input]
	query      *wire.Query[*Handler, wire.Input]
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{metrics: o.Metrics, faults: wire.Faults{
		Internal: codeInternal, Unavailable: fault.CodeUnavailable, Log: o.Log,
	}}
	h.json = &wire.RPC[*Handler, wire.Input]{
		Of: h, Model: &model, Target: Target, Read: body(wire.ChargeTree, decodeJSON), Write: writeJSON,
		Unknown: unknown, Fault: h.faults.Of, Refuse: Refuse,
	}
	h.cbor = &wire.RPC[*Handler, wire.Input]{
		Of: h, Model: &model, Path: "/service/" + Target + "/operation/", Read: body(chargeCBOR, decodeCBOR),
		Write: writeCBOR, Unknown: unknown, Fault: h.faults.Of, Refuse: Refuse,
	}
	h.query = &wire.Query[*Handler, wire.Input]{
		Of: h, Model: &model, Namespace: namespace, Limit: maxRequestBytes, Read: readForm,
		Unknown: unknownAction, Fault: h.faults.Of, Refuse: Refuse,
	}
	return h
}

// absent refuses what CloudWatch has and this room does not.
const absent = wire.Absent("cloudwatch")

// operation is a row of the model. A nil answer means that the operation has none.
type operation = wire.Operation[*Handler, wire.Input]

// model is what CloudWatch has.
var model = wire.Model[operation]{
	Absent: absent,
	Served: map[string]operation{
		"GetMetricData":       wire.Typed((*Handler).getMetricData),
		"GetMetricStatistics": wire.Typed((*Handler).getMetricStatistics),
		"ListMetrics":         wire.Typed((*Handler).listMetrics),
		"PutMetricData":       wire.Typed((*Handler).putMetricData),
	},
	Others: `AssociateDatasetKmsKey CreateResourceMetricsConfiguration DeleteAlarmMuteRule DeleteAlarms
		DeleteAnomalyDetector DeleteDashboards DeleteInsightRules DeleteMetricDataQueryDefinition DeleteMetricStream
		DeleteResourceMetricsConfiguration DescribeAlarmContributors DescribeAlarmHistory DescribeAlarms
		DescribeAlarmsForMetric DescribeAnomalyDetectors DescribeInsightRules DisableAlarmActions DisableInsightRules
		DisassociateDatasetKmsKey EnableAlarmActions EnableInsightRules GetAlarmMuteRule GetDashboard GetDataset
		GetInsightRuleReport GetMetricDataQueryDefinition GetMetricStream GetMetricWidgetImage GetOTelEnrichment
		GetResourceMetricsConfiguration ListAlarmMuteRules ListDashboards ListManagedInsightRules
		ListMetricDataQueryDefinitions ListMetricStreams ListTagsForResource PutAlarmMuteRule PutAnomalyDetector
		PutCompositeAlarm PutDashboard PutInsightRule PutLogAlarm PutManagedInsightRules PutMetricAlarm
		PutMetricDataQueryDefinition PutMetricStream SetAlarmState StartMetricStreams StartOTelEnrichment
		StopMetricStreams StopOTelEnrichment TagResource UntagResource UpdateOTelEnrichment
		UpdateResourceMetricsConfiguration`,
}

// unknown refuses an operation that no model has, or that is called in another way.
func unknown(r *http.Request, name string) *fault.Error {
	if _, served := model.Served[name]; served && r.Method != http.MethodPost {
		return fault.New(fault.CodeUnknownOperation, "The operation %s is called with POST.", name)
	}
	return unknownAction(name)
}

func unknownAction(name string) *fault.Error {
	return fault.New(fault.CodeUnknownOperation, "Could not find operation %s for version 2010-08-01", clip(name))
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: Name, Target: Target, CBOR: cborType, Needs: wire.Header, Dialect: wire.Forms, Handler: h,
		Refuse: Refuse,
		Codes:  wire.Codes{Internal: codeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken},
	}
}

// protocol is one of the three that clients speak.
type protocol uint8

const (
	queryProtocol protocol = iota
	jsonProtocol
	cborProtocol
)

// protocolOf returns the protocol of a request.
func protocolOf(r *http.Request) protocol {
	switch {
	case r.Header.Get("Smithy-Protocol") != "" && strings.HasPrefix(r.URL.Path, "/service/"):
		return cborProtocol
	case r.Header.Get("X-Amz-Target") != "":
		return jsonProtocol
	}
	return queryProtocol
}

// ServeHTTP answers one request in its protocol.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := unpack(r); err != nil {
		c := wire.CallerOf(r.Context())
		wire.SetIDs(w.Header(), c)
		Refuse(w, r, h.faults.Of(r.Context(), c, err))
		return
	}
	switch protocolOf(r) {
	case cborProtocol:
		h.cbor.ServeHTTP(w, r)
	case jsonProtocol:
		h.json.ServeHTTP(w, r)
	default:
		h.query.ServeHTTP(w, r)
	}
}

// Refuse answers a fault in the protocol of the request.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.FaultHeader(w.Header(), f)
	if r.Header.Get("X-Amzn-Query-Mode") == "true" {
		side := ";Sender"
		if f.Status >= 500 && f.Status != http.StatusNotImplemented {
			side = ";Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", legacyCode(f.Code)+side)
	}
	switch protocolOf(r) {
	case cborProtocol:
		sendCBOR(w, f.Status, errorBody{shape(f.Code), f.Message})
	case jsonProtocol:
		wire.WriteJSON(w, f.Status, jsonType, errorBody{shape(f.Code), f.Message})
	default:
		wire.WriteQueryError(w, wire.CallerOf(r.Context()), namespace, legacyCode(f.Code), f)
	}
}

// errorBody is how JSON and CBOR show an error.
type errorBody struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

// body reads the body of a request, charges what its values take, and lets decode fill the input from it.
func body(charge func(context.Context, []byte) error, decode func(body []byte, into any) error) func(
	http.ResponseWriter, *http.Request, wire.Caller, *fault.Error,
) (wire.Input, error) {
	return func(_ http.ResponseWriter, r *http.Request, _ wire.Caller, refused *fault.Error) (wire.Input, error) {
		if refused != nil {
			return nil, refused
		}
		b, err := readBody(r)
		if err != nil {
			return nil, err
		}
		if err := charge(r.Context(), b); err != nil {
			return nil, err
		}
		return func(into any) error { return decode(b, into) }, nil
	}
}

// unpack makes a gzip body, which SDKs use for PutMetricData, read as its contents.
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
	return fault.New(fault.CodeSerialization, "The request body has a Content-Encoding other than gzip.").WithStatus(
		http.StatusUnsupportedMediaType,
	)
}

// unpacked charges the unpacked bytes to the body.
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
	return fault.New(fault.CodeSerialization, "The request body could not be read to its end.")
}

// clip cuts a caller's text to what one reads.
func clip(s string) string { return fault.Clip(s, 100) }
