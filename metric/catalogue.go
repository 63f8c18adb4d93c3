package metric

// Units of CloudWatch that our own metrics use.
const (
	Count        = "Count"
	Milliseconds = "Milliseconds"
	Bytes        = "Bytes"
	None         = "None" // for values put without a unit
)

// Namespaces of our own metrics. Engine holds what AWS does not measure; we never add metrics of our own to AWS's
// namespaces.
const (
	Lambda  = "AWS/Lambda"
	Kinesis = "AWS/Kinesis"
	Engine  = "Engine"
)

// Dimensions of our own metrics.
const (
	FunctionName = "FunctionName"
	MappingUUID  = "EventSourceMappingUUID"
	StreamName   = "StreamName"
)

// Kind is a metric that shardmill itself measures.
type Kind struct{ Namespace, Name, Unit string }

// Metrics of functions: by FunctionName, and without dimensions for all functions of the account in the region. Values
// carry the instant at which the invocation began. Source: Lambda Developer Guide, "Types of metrics for Lambda
// functions".
var (
	// 1 for each invocation whose code ran, or failed to start by the function's fault
	Invocations = Kind{Lambda, "Invocations", Count}
	Errors      = Kind{Lambda, "Errors", Count} // 1 for a function error, 0 for a success
	// 1 for each attempt refused for lack of concurrency, which does not count as an invocation; 0 for each invocation
	Throttles = Kind{Lambda, "Throttles", Count}
	Duration  = Kind{Lambda, "Duration", Milliseconds} // of the handler, without the init phase
	// running invocations, recorded as each begins
	ConcurrentExecutions = Kind{Lambda, "ConcurrentExecutions", Count}
	// 1 for each send to a destination that failed
	DeliveryFailures = Kind{Lambda, "DestinationDeliveryFailures", Count}
	// 1 for each invocation for which an environment was started and which it served
	ColdStarts   = Kind{Engine, "ColdStarts", Count}
	InitDuration = Kind{Engine, "InitDuration", Milliseconds} // of their init phases
	// 1 for each invocation ended because its environment passed MemorySize
	OutOfMemory = Kind{Engine, "OutOfMemory", Count}
)

// IteratorAge is by FunctionName only: the age of the last record of a batch at the moment the batch goes to the
// function, once for each invocation, retries included.
var IteratorAge = Kind{Lambda, "IteratorAge", Milliseconds}

// Metrics of event source mappings, by EventSourceMappingUUID.
var (
	MappingIteratorAge = Kind{Engine, "IteratorAge", Milliseconds} // as above
	RecordsSettled     = Kind{Engine, "RecordsSettled", Count}     // records of batches that succeeded
	RecordsDiscarded   = Kind{Engine, "RecordsDiscarded", Count}   // records given up, with or without a notice
	// 1 for each tumbling window whose state was dropped because the function kept failing
	StatesDropped = Kind{Engine, "StatesDropped", Count}
	// 1 for each time that retention removed records before they were processed
	RetentionLosses = Kind{Engine, "RetentionLosses", Count}
)

// Metrics of streams, by StreamName. Source: Kinesis Developer Guide, "Monitor the Amazon Kinesis Data Streams service
// with Amazon CloudWatch".
var (
	// durable records of a put
	IncomingRecords = Kind{Kinesis, "IncomingRecords", Count}
	// of their data and partition keys
	IncomingBytes = Kind{Kinesis, "IncomingBytes", Bytes}
	// 1 or 0 for each PutRecord that reached the shard
	PutRecordSuccess = Kind{Kinesis, "PutRecord.Success", Count}
	// 1 when at least one of the records is durable
	PutRecordsSuccess = Kind{Kinesis, "PutRecords.Success", Count}
	// age of the last record of a GetRecords, 0 without records
	GetRecordsAge = Kind{Kinesis, "GetRecords.IteratorAgeMilliseconds", Milliseconds}
)

// Of returns the series of a kind in an account and region, with dimensions given as name, value, name, value. A nil
// Store returns nil.
func (st *Store) Of(k Kind, account, region string, dimensions ...string) *Series {
	if st == nil {
		return nil
	}
	id := ID{Account: account, Region: region, Namespace: k.Namespace, Name: k.Name}
	for i := 0; i+1 < len(dimensions); i += 2 {
		id.Dimensions = append(id.Dimensions, Dimension{dimensions[i], dimensions[i+1]})
	}
	return st.Series(id, k.Unit)
}
