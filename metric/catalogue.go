package metric

// Units of CloudWatch that our own metrics use.
const (
	Count        = "Count"
	Milliseconds = "Milliseconds"
	Bytes        = "Bytes"
	None         = "None" // of values put without a unit
)

// Namespaces of our own metrics. Engine holds what AWS does not measure; nothing of ours is ever added to a namespace
// of AWS's.
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

// Kind is a metric that shardmill measures by itself.
type Kind struct{ Namespace, Name, Unit string }

// Metrics of functions: by FunctionName, and without dimensions for all functions of the account in the region. Values
// carry the instant at which the invocation began. Source: Lambda Developer Guide, "Types of metrics for Lambda
// functions".
var (
	// 1 for each invocation whose code ran, or failed to start by the function's fault
	Invocations = Kind{Lambda, "Invocations", Count}
	Errors      = Kind{Lambda, "Errors", Count} // 1 for a function error, 0 for a success
	// 1 for each attempt refused for lack of concurrency, which is no invocation; 0 for each invocation
	Throttles = Kind{Lambda, "Throttles", Count}
	Duration  = Kind{Lambda, "Duration", Milliseconds} // of the handler, without the init phase
	// invocations that run, noted as each begins
	ConcurrentExecutions = Kind{Lambda, "ConcurrentExecutions", Count}
	// 1 for each send to a destination that failed
	DeliveryFailures = Kind{Lambda, "DestinationDeliveryFailures", Count}
	// 1 for each invocation that an environment was started for and served
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
	// 1 for each state of a tumbling window that the function never got over
	StatesDropped = Kind{Engine, "StatesDropped", Count}
	// 1 for each time that retention took records before they were processed
	RetentionLosses = Kind{Engine, "RetentionLosses", Count}
)

// Metrics of streams, by StreamName. Source: Kinesis Developer Guide, "Monitor the Amazon Kinesis Data Streams service
// with Amazon CloudWatch".
var (
	// of a put, those that are durable
	IncomingRecords = Kind{Kinesis, "IncomingRecords", Count}
	// of their data and partition keys
	IncomingBytes = Kind{Kinesis, "IncomingBytes", Bytes}
	// 1 or 0 for each PutRecord that reached the shard
	PutRecordSuccess = Kind{Kinesis, "PutRecord.Success", Count}
	// 1 when one of the records at least is durable
	PutRecordsSuccess = Kind{Kinesis, "PutRecords.Success", Count}
	// age of the last record of a GetRecords, 0 without any
	GetRecordsAge = Kind{Kinesis, "GetRecords.IteratorAgeMilliseconds", Milliseconds}
)

// Of returns the series of a kind in an account and region, with dimensions given as name, value, name, value. A nil
// Store has none, and returns nil.
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
