package seed

import (
	"math"
	"sync"
)

// kind says what a value must be.
type kind uint8

const (
	text    kind = iota // a string; numbers have to be quoted, so that 010 and 1e3 stay what they look like
	scalar              // a string, number or boolean, taken as it is written
	integer             // within min and max
	number              // any number
	boolean
	object // with keys
	dict   // any keys, scalar values
	list   // of elements
)

// value says what the value of a key must be.
type value struct {
	kind     kind
	required bool
	min, max int64            // of an integer
	oneOf    []string         // of a text; nil: anything
	keys     map[string]value // of an object
	element  *value           // of a list
}

func (v value) must() value { v.required = true; return v }

func between(low, high int64) value       { return value{kind: integer, min: low, max: high} }
func words(oneOf ...string) value         { return value{kind: text, oneOf: oneOf} }
func members(keys map[string]value) value { return value{kind: object, keys: keys} }
func listOf(v value) value                { return value{kind: list, element: &v} }

// section is one top-level key of a seed file.
type section struct {
	key  string
	what string // one of its items
	name string // the key that names an item
	keys map[string]value
	into func(*Plan) *[]Item
}

// sections lists everything that a seed file may hold, in the order in which it is applied. Bounds are those of the API
// References; rules about more than one value are left to the server. It is built when used, so that a program without
// a seed file does not pay for it.
var sections = sync.OnceValue(func() []section {
	keySchema := listOf(members(map[string]value{
		"AttributeName": value{kind: text}.must(), "KeyType": words("HASH", "RANGE").must(),
	}))
	throughput := members(map[string]value{
		"ReadCapacityUnits": between(1, math.MaxInt64).must(), "WriteCapacityUnits": between(1, math.MaxInt64).must(),
	})
	projection := members(map[string]value{
		"ProjectionType": words("ALL", "KEYS_ONLY", "INCLUDE").must(), "NonKeyAttributes": listOf(value{kind: text}),
	})
	return []section{
		{"Streams", "stream", "Name", map[string]value{
			"Name":              value{kind: text}.must(),
			"ShardCount":        between(1, math.MaxInt32),
			"StreamModeDetails": members(map[string]value{"StreamMode": words("PROVISIONED", "ON_DEMAND").must()}),

			"MaxRecordSizeInKiB": between(1024, 10240),
		}, func(p *Plan) *[]Item { return &p.Streams }},
		{"Tables", "table", "TableName", map[string]value{
			"TableName": value{kind: text}.must(),
			"AttributeDefinitions": listOf(members(map[string]value{
				"AttributeName": value{kind: text}.must(), "AttributeType": words("S", "N", "B").must(),
			})).must(),
			"KeySchema":             keySchema.must(),
			"BillingMode":           words("PAY_PER_REQUEST", "PROVISIONED"),
			"ProvisionedThroughput": throughput,
			"GlobalSecondaryIndexes": listOf(members(map[string]value{
				"IndexName": value{kind: text}.must(), "KeySchema": keySchema.must(), "Projection": projection.must(),
				"ProvisionedThroughput": throughput,
			})),
			"LocalSecondaryIndexes": listOf(members(map[string]value{
				"IndexName": value{kind: text}.must(), "KeySchema": keySchema.must(), "Projection": projection.must(),
			})),
		}, func(p *Plan) *[]Item { return &p.Tables }},
		{"Queues", "queue", "QueueName", map[string]value{
			"QueueName":                     value{kind: text}.must(),
			"VisibilityTimeout":             between(0, 43200),
			"DelaySeconds":                  between(0, 900),
			"MessageRetentionPeriod":        between(60, 1209600),
			"ReceiveMessageWaitTimeSeconds": between(0, 20),
			"MaximumMessageSize":            between(1024, 1048576),
		}, func(p *Plan) *[]Item { return &p.Queues }},
		{"Functions", "function", "FunctionName", map[string]value{
			"FunctionName":     value{kind: text}.must(),
			"CodeUri":          value{kind: text}.must(),
			"Runtime":          value{kind: text}.must(),
			"Handler":          {kind: text},
			"Role":             {kind: text},
			"Description":      {kind: text},
			"Timeout":          between(1, 900),
			"MemorySize":       between(128, 10240),
			"Environment":      members(map[string]value{"Variables": value{kind: dict}.must()}),
			"Architectures":    listOf(words("x86_64", "arm64")),
			"EphemeralStorage": members(map[string]value{"Size": between(512, 10240).must()}),
			"LoggingConfig":    members(map[string]value{"LogGroup": value{kind: text}.must()}),
			"Tags":             {kind: dict},

			"ReservedConcurrentExecutions": between(0, math.MaxInt32),
		}, func(p *Plan) *[]Item { return &p.Functions }},
		{"Mappings", "mapping", "FunctionName", map[string]value{
			"FunctionName":                   value{kind: text}.must(),
			"EventSourceArn":                 value{kind: text}.must(),
			"StartingPosition":               words("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP").must(),
			"StartingPositionTimestamp":      {kind: number},
			"Enabled":                        {kind: boolean},
			"BatchSize":                      between(1, 10000),
			"MaximumBatchingWindowInSeconds": between(0, 300),
			"ParallelizationFactor":          between(1, 10),
			"MaximumRetryAttempts":           between(-1, 10000),
			"MaximumRecordAgeInSeconds":      between(-1, 604800),
			"BisectBatchOnFunctionError":     {kind: boolean},
			"TumblingWindowInSeconds":        between(0, 900),
			"FunctionResponseTypes":          listOf(words("ReportBatchItemFailures")),
			"FilterCriteria": members(map[string]value{
				"Filters": listOf(members(map[string]value{"Pattern": value{kind: text}.must()})).must(),
			}),
			"DestinationConfig": members(map[string]value{
				"OnFailure": members(map[string]value{"Destination": value{kind: text}.must()}).must(),
			}),
			"Tags":          {kind: dict},
			"MetricsConfig": members(map[string]value{"Metrics": listOf(words("EventCount")).must()}),
		}, func(p *Plan) *[]Item { return &p.Mappings }},
	}
})

// meant returns our name of a key that people know from elsewhere; "" if there is none.
func meant(key string) string {
	switch key {
	case "StreamName":
		return "Name"
	case "Code", "ZipFile":
		return "CodeUri"
	case "Shards":
		return "ShardCount"
	case "Memory":
		return "MemorySize"
	case "Window":
		return "MaximumBatchingWindowInSeconds"
	case "Resources":
		return "Streams, Tables, Queues, Functions, Mappings"
	case "EventSourceMappings":
		return "Mappings"
	case "Stream":
		return "EventSourceArn"
	case "Function":
		return "FunctionName"
	case "OnFailure":
		return "DestinationConfig"
	case "Variables":
		return "Environment"
	}
	return ""
}
