// Package dynamodb speaks DynamoDB's JSON protocol (X-Amz-Target: DynamoDB_20120810.<operation>) in front of
// companion/table.
//
// In flow HTTP requests that wire.Router has picked, out flow AWS's answers; what a table does is decided in
// companion/table, what an expression means in companion/table/expr. One file per operation. Operations and parameters
// that AWS has and this room does not are refused by name. The shapes are those of the DynamoDB API Reference;
// docs/compat/dynamodb.md lists what differs.
package dynamodb

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/fault"
)

// Target is the prefix of X-Amz-Target that means this service, for wire.Service.
const Target = "DynamoDB_20120810"

// maxRequestBytes bounds a request before it is read. Source: DynamoDB Developer Guide, Quotas, BatchWriteItem.
const maxRequestBytes = 16 << 20

// Options are what the handler needs. Tables is required; a nil Log is silent.
type Options struct {
	Tables *table.Tables
	Log    *slog.Logger
}

// Handler answers DynamoDB requests.
type Handler struct {
	tables *table.Tables
	log    *slog.Logger

	batchBytes int // maxBatchReadBytes, less in tests
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{tables: o.Tables, log: o.Log, batchBytes: maxBatchReadBytes}
}

// operation answers one request. in has reported nothing yet: an operation reads what it needs and asks in.err before
// it acts.
type operation func(*Handler, context.Context, wire.Caller, *input) (any, error)

// operations are those that are here.
var operations = map[string]operation{
	"BatchGetItem":              (*Handler).batchGetItem,
	"BatchWriteItem":            (*Handler).batchWriteItem,
	"CreateTable":               (*Handler).createTable,
	"DeleteItem":                (*Handler).deleteItem,
	"DeleteTable":               (*Handler).deleteTable,
	"DescribeContinuousBackups": (*Handler).describeContinuousBackups,
	"DescribeTable":             (*Handler).describeTable,
	"DescribeTimeToLive":        (*Handler).describeTimeToLive,
	"GetItem":                   (*Handler).getItem,
	"ListTables":                (*Handler).listTables,
	"ListTagsOfResource":        (*Handler).listTagsOfResource,
	"PutItem":                   (*Handler).putItem,
	"Query":                     (*Handler).query,
	"Scan":                      (*Handler).scan,
	"TagResource":               (*Handler).tagResource,
	"UntagResource":             (*Handler).untagResource,
	"UpdateItem":                (*Handler).updateItem,
	"UpdateTable":               (*Handler).updateTable,
	"UpdateTimeToLive":          (*Handler).updateTimeToLive,
}

// absent are the operations of the service's model that are not here.
const absent = `BatchExecuteStatement CreateBackup CreateGlobalTable DeleteBackup DeleteResourcePolicy DescribeBackup DescribeContributorInsights
DescribeEndpoints DescribeExport DescribeGlobalTable DescribeGlobalTableSettings DescribeImport DescribeKinesisStreamingDestination DescribeLimits
DescribeTableReplicaAutoScaling DisableKinesisStreamingDestination EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction
ExportTableToPointInTime GetResourcePolicy ImportTable ListBackups ListContributorInsights ListExports ListGlobalTables ListImports PutResourcePolicy
RestoreTableFromBackup RestoreTableToPointInTime TransactGetItems TransactWriteItems UpdateContinuousBackups UpdateContributorInsights
UpdateGlobalTable UpdateGlobalTableSettings UpdateKinesisStreamingDestination UpdateTableReplicaAutoScaling`

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "dynamodb", Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: table.CodeInternal, Unavailable: codeUnavailable, Unsigned: fault.CodeMissingToken},
	}
}

// Refuse answers a fault that no operation gave.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) { writeFault(w, f, nil) }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	wire.SetIDs(w.Header(), c)
	answer, err := h.answer(r, c)
	if err != nil {
		h.writeError(w, c, err)
		return
	}
	writeAnswer(w, http.StatusOK, answer)
}

func (h *Handler) answer(r *http.Request, c wire.Caller) (any, error) {
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	op := operations[name]
	if service == Target && op == nil && isAbsent(name) {
		return nil, wire.NotImplemented("Amazon DynamoDB", name)
	}
	if service != Target || op == nil || r.Method != http.MethodPost {
		return nil, &fault.Error{Code: codeUnknownOperation}
	}
	body, err := wire.ReadBody(r, maxRequestBytes)
	if err != nil {
		return nil, err
	}
	if err := wire.ChargeTree(r.Context(), body); err != nil {
		return nil, err
	}
	in, err := parse(body)
	if err != nil {
		return nil, err
	}
	return op(h, r.Context(), c, in)
}

func isAbsent(name string) bool {
	for a := range strings.FieldsSeq(absent) {
		if a == name {
			return true
		}
	}
	return false
}
