// Package dynamodb serves DynamoDB's JSON protocol (X-Amz-Target: DynamoDB_20120810.<operation>) in front of
// companion/table.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/table decides what a table
// does, companion/table/expr what an expression means. One file per operation. Operations and parameters that AWS has
// and this room does not are refused by name. The shapes are those of the DynamoDB API Reference;
// docs/compat/dynamodb.md lists what differs.
package dynamodb

import (
	"log/slog"
	"net/http"

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

// Handler serves DynamoDB.
type Handler struct {
	http.Handler // of requests

	tables *table.Tables

	batchBytes int // maxBatchReadBytes, less in tests
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := faults{wire.Faults{
		Internal: table.CodeInternal, Unavailable: fault.CodeUnavailable, Stopped: []error{table.ErrStopped},
		Log: o.Log,
	}}
	h := &Handler{tables: o.Tables, batchBytes: maxBatchReadBytes}
	h.Handler = &wire.RPC[*Handler, *input]{
		Of: h, Model: &model, Target: Target, Read: wire.JSONBody(maxRequestBytes, h.parse), Write: write,
		Fault:  faults.of,
		Refuse: Refuse,
	}
	return h
}

// parse is parse, for requests that are judged by the policies of tables.
func (h *Handler) parse(body []byte) (*input, error) {
	in, err := parse(body)
	if err == nil {
		in.report.tables = h.tables
	}
	return in, err
}

// absent refuses what DynamoDB has and this room does not.
const absent = wire.Absent("dynamodb")

// operation is a row of the model. Its input is not checked yet: an operation reads what it needs and checks in.err
// before it acts.
type operation = wire.Operation[*Handler, *input]

// model is what DynamoDB has.
var model = wire.Model[operation]{
	Absent: absent,
	Served: map[string]operation{
		"BatchGetItem":              {Serve: (*Handler).batchGetItem},
		"BatchWriteItem":            {Serve: (*Handler).batchWriteItem},
		"CreateTable":               {Serve: (*Handler).createTable},
		"DeleteItem":                {Serve: (*Handler).deleteItem},
		"DeleteResourcePolicy":      {Serve: (*Handler).deleteResourcePolicy},
		"DeleteTable":               {Serve: (*Handler).deleteTable},
		"DescribeContinuousBackups": {Serve: (*Handler).describeContinuousBackups},
		"DescribeTable":             {Serve: (*Handler).describeTable},
		"DescribeTimeToLive":        {Serve: (*Handler).describeTimeToLive},
		"GetItem":                   {Serve: (*Handler).getItem},
		"GetResourcePolicy":         {Serve: (*Handler).getResourcePolicy},
		"ListTables":                {Serve: (*Handler).listTables},
		"ListTagsOfResource":        {Serve: (*Handler).listTagsOfResource},
		"PutItem":                   {Serve: (*Handler).putItem},
		"PutResourcePolicy":         {Serve: (*Handler).putResourcePolicy},
		"Query":                     {Serve: (*Handler).query},
		"Scan":                      {Serve: (*Handler).scan},
		"TagResource":               {Serve: (*Handler).tagResource},
		"UntagResource":             {Serve: (*Handler).untagResource},
		"UpdateItem":                {Serve: (*Handler).updateItem},
		"UpdateTable":               {Serve: (*Handler).updateTable},
		"UpdateTimeToLive":          {Serve: (*Handler).updateTimeToLive},
	},
	Others: `BatchExecuteStatement CancelBulkOperation CreateBackup CreateGlobalTable DeleteBackup
		DescribeBackup DescribeBulkOperation DescribeContributorInsights DescribeEndpoints
		DescribeExport DescribeGlobalTable DescribeGlobalTableSettings DescribeImport
		DescribeKinesisStreamingDestination DescribeLimits DescribeTableReplicaAutoScaling
		DisableKinesisStreamingDestination EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction
		ExportTableToPointInTime ImportTable ListBackups ListBulkOperations ListContributorInsights
		ListExports ListGlobalTables ListImports RestoreTableFromBackup RestoreTableToPointInTime
		SearchVectors StartBulkPutItems TransactGetItems TransactWriteItems UpdateContinuousBackups
		UpdateContributorInsights UpdateGlobalTable UpdateGlobalTableSettings UpdateKinesisStreamingDestination
		UpdateTableReplicaAutoScaling`,
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "dynamodb", Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: table.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: fault.CodeMissingToken,
		},
	}
}

func write(w http.ResponseWriter, _ wire.Caller, _ *input, answer any) {
	writeAnswer(w, http.StatusOK, answer)
}
