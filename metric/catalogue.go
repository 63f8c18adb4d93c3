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
	SNS     = "AWS/SNS"
	Engine  = "Engine"
)

// Dimensions of our own metrics.
const (
	FunctionName    = "FunctionName"
	Resource        = "Resource"        // beside FunctionName: the function with the qualifier that it was invoked by
	ExecutedVersion = "ExecutedVersion" // beside Resource, where that is an alias
	MappingUUID     = "EventSourceMappingUUID"
	StreamName      = "StreamName"
	ShardID         = "ShardId"      // beside StreamName
	ConsumerName    = "ConsumerName" // beside StreamName
	TopicName       = "TopicName"
)

// Kind is a metric that shardmill itself measures.
type Kind struct{ Namespace, Name, Unit string }

// Metrics of functions: by FunctionName, and without dimensions for all functions of the account in the region; those
// of an invocation by a qualifier also by FunctionName and Resource, and behind an alias by ExecutedVersion, too.
// Values carry the instant at which the invocation began. Source: Lambda Developer Guide, "Types of metrics for Lambda
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
	// 1 for each notice given up because the destination refused it at every try
	DeliveryFailures = Kind{Lambda, "DestinationDeliveryFailures", Count}
	// 1 for each invocation for which an environment was started and which it served
	ColdStarts   = Kind{Engine, "ColdStarts", Count}
	InitDuration = Kind{Engine, "InitDuration", Milliseconds} // of their init phases
	// 1 for each invocation ended because its environment passed MemorySize
	OutOfMemory = Kind{Engine, "OutOfMemory", Count}
)

// IteratorAge is by FunctionName, Resource and ExecutedVersion as above, and not for accounts: the age of the last
// record of a batch at the moment the batch goes to the function, once for each invocation, retries included.
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

// Metrics of event source mappings whose MetricsConfig names EventCount, by EventSourceMappingUUID. All count records.
// Source: Lambda Developer Guide, "Event source mapping metrics".
var (
	// read; 0 where there was nothing to read
	PolledEvents = Kind{Lambda, "PolledEventCount", Count}
	// that did not match the filter; 0 where all that were read did
	FilteredOutEvents = Kind{Lambda, "FilteredOutEventCount", Count}
	// sent to the function, again at each retry, whether or not its code ran
	InvokedEvents = Kind{Lambda, "InvokedEventCount", Count}
	// of attempts that failed in any way, with the instant of their end
	FailedInvokeEvents = Kind{Lambda, "FailedInvokeEventCount", Count}
	// given up for their age or the end of their retries, and whose notice no destination got
	DroppedEvents = Kind{Lambda, "DroppedEventCount", Count}
	// given up, and whose notice is at the destination
	DeliveredEvents = Kind{Lambda, "OnFailureDestinationDeliveredEventCount", Count}
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
	// of the durable records of a call
	PutRecordBytes  = Kind{Kinesis, "PutRecord.Bytes", Bytes}
	PutRecordsBytes = Kind{Kinesis, "PutRecords.Bytes", Bytes}
	// of a call, in real time
	PutRecordLatency  = Kind{Kinesis, "PutRecord.Latency", Milliseconds}
	PutRecordsLatency = Kind{Kinesis, "PutRecords.Latency", Milliseconds}
	GetRecordsLatency = Kind{Kinesis, "GetRecords.Latency", Milliseconds}
	// records of a PutRecords: all, durable ones under two names, refused for lack of throughput, and failed otherwise
	PutRecordsTotal      = Kind{Kinesis, "PutRecords.TotalRecords", Count}
	PutRecordsRecords    = Kind{Kinesis, "PutRecords.Records", Count}
	PutRecordsSuccessful = Kind{Kinesis, "PutRecords.SuccessfulRecords", Count}
	PutRecordsThrottled  = Kind{Kinesis, "PutRecords.ThrottledRecords", Count}
	PutRecordsFailed     = Kind{Kinesis, "PutRecords.FailedRecords", Count}
	// records that a put refused for lack of throughput, and reads so refused, which there are none of; 0 for each call
	WriteThroughputExceeded = Kind{Kinesis, "WriteProvisionedThroughputExceeded", Count}
	ReadThroughputExceeded  = Kind{Kinesis, "ReadProvisionedThroughputExceeded", Count}
	// Reads of clients and of event source mappings.
	// age of the last record of a read, 0 without records
	GetRecordsAge     = Kind{Kinesis, "GetRecords.IteratorAgeMilliseconds", Milliseconds}
	GetRecordsBytes   = Kind{Kinesis, "GetRecords.Bytes", Bytes}
	GetRecordsRecords = Kind{Kinesis, "GetRecords.Records", Count}
	// 1 for a read that succeeded, 0 for one that failed at the store
	GetRecordsSuccess = Kind{Kinesis, "GetRecords.Success", Count}
)

// Metrics of registered consumers, by StreamName and ConsumerName. Source: as above.
var (
	// 1 for a subscription that was let through, 0 for one that another kept out
	SubscribeSuccess = Kind{Kinesis, "SubscribeToShard.Success", Count}
	// 1 for a subscription that another one kept out, or that came too soon
	SubscribeRateExceeded = Kind{Kinesis, "SubscribeToShard.RateExceeded", Count}
	// 1 for each event, also for one without records; 0 where the store failed
	SubscribeEvents  = Kind{Kinesis, "SubscribeToShardEvent.Success", Count}
	SubscribeBytes   = Kind{Kinesis, "SubscribeToShardEvent.Bytes", Bytes}
	SubscribeRecords = Kind{Kinesis, "SubscribeToShardEvent.Records", Count}
	// of each event, as it says itself
	SubscribeBehind = Kind{Kinesis, "SubscribeToShardEvent.MillisBehindLatest", Milliseconds}
)

// Metrics that only shards have, by StreamName and ShardId, for streams whose owners asked for them; so are
// IncomingRecords, IncomingBytes and the two of exceeded throughput. Source: as above, "Enhanced shard-level metrics".
var (
	// of the data and partition keys of records that were read
	OutgoingBytes   = Kind{Kinesis, "OutgoingBytes", Bytes}
	OutgoingRecords = Kind{Kinesis, "OutgoingRecords", Count}
	// age of the last record of a read, 0 without records
	ShardIteratorAge = Kind{Kinesis, "IteratorAgeMilliseconds", Milliseconds}
)

// Metrics of topics, by TopicName. Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch".
var (
	MessagesPublished      = Kind{SNS, "NumberOfMessagesPublished", Count}
	PublishSize            = Kind{SNS, "PublishSize", Bytes}
	NotificationsDelivered = Kind{SNS, "NumberOfNotificationsDelivered", Count} // copies that are in a queue
	NotificationsFailed    = Kind{SNS, "NumberOfNotificationsFailed", Count}    // copies that a queue refused
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
