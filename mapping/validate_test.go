package mapping

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

const (
	validation = "ValidationException"
	parameter  = "InvalidParameterValueException"
	seePage    = " See docs/compat/lambda-event-source-mapping.md."
)

// V1 to V8, V18 to V21 and what is refused by name, each with AWS's text where it is known. Lambda API Reference,
// CreateEventSourceMapping.
func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	one := func(path, value, constraint string) string {
		return "1 validation error detected: Value '" + value + "' at '" + path + "' failed to satisfy constraint: " +
			constraint
	}
	cases := []struct {
		name, code, message string
		edit                func(*CreateInput)
	}{
		{
			"no event source, before the missing function (V1, S-05)", parameter, "Unrecognized event source.",
			func(in *CreateInput) {
				in.EventSourceARN, in.FunctionName = nil, new("absent")
			},
		},
		{"an ARN of a service that has no events", parameter, "Unrecognized event source.", func(in *CreateInput) {
			in.EventSourceARN = new("arn:aws:s3:::bucket")
		}},
		{
			"no function name", validation,
			"1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null",
			func(in *CreateInput) { in.FunctionName = nil },
		},
		{
			"a function that does not exist (V2, S-04)", parameter, "Function does not exist",
			func(in *CreateInput) { in.FunctionName = new("absent") },
		},
		{"a missing function before a missing stream", parameter, "Function does not exist", func(in *CreateInput) {
			in.FunctionName, in.EventSourceARN = new("absent"), new(orders+"-absent")
		}},
		{
			"a stream that does not exist (V3, S-03)", parameter, "Stream not found: " + orders + "-absent",
			func(in *CreateInput) {
				in.EventSourceARN = new(orders + "-absent")
			},
		},
		{
			"an account that is none", parameter, "Stream not found: arn:aws:kinesis:us-east-1::stream/orders",
			func(in *CreateInput) {
				in.EventSourceARN = new("arn:aws:kinesis:us-east-1::stream/orders")
			},
		},
		{
			"no starting position, before the missing function (V4, S-06)", parameter,
			"1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
			func(in *CreateInput) { in.StartingPosition, in.FunctionName = nil, new("absent") },
		},
		{
			"an unknown starting position (V5, S-07)", validation,
			one(
				"startingPosition", "invalid",
				"Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
			),
			func(in *CreateInput) { in.StartingPosition = new("invalid") },
		},
		{
			"AT_TIMESTAMP without a timestamp (V6, S-08)", parameter,
			"StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP",
			func(in *CreateInput) { in.StartingPosition = new(AtTimestamp) },
		},
		{
			"a timestamp in the future (V7, S-08)", parameter, "StartingPositionTimestamp cannot be in the future",
			func(in *CreateInput) {
				in.StartingPosition, in.StartingPositionTimestamp = new(AtTimestamp), new(record.Millis(1)<<50)
			},
		},
		{
			"a timestamp with LATEST (V8)", parameter,
			"StartingPositionTimestamp is valid only when StartingPosition is AT_TIMESTAMP",
			func(in *CreateInput) { in.StartingPositionTimestamp = new(record.Millis(1)) },
		},
		{
			"OnSuccess, before the missing function and source (V18, S-16)", parameter,
			"Unsupported DestinationConfig parameter for given event source mapping type.", func(in *CreateInput) {
				in.FunctionName, in.EventSourceARN, in.Destination = new("absent"), nil, &DestinationConfig{
					OnSuccess: true,
				}
			},
		},
		{
			"a parameter of another kind of source", parameter,
			"Unsupported Topics parameter for given event source mapping type.",
			func(in *CreateInput) { in.Inapplicable = []string{"Topics", "Queues"} },
		},
		{
			"an age below a minute (V19, S-11)", parameter,
			"MaximumRecordAgeInSeconds must be -1 or between 60 and 604800",
			func(in *CreateInput) { in.MaxAgeSeconds = new(int64(59)) },
		},
		{
			"tumbling window and factor, in AWS's words (V21)", parameter,
			"ParallelizationFactor must be 1 when TumblingWindowInSeconds is set",
			func(in *CreateInput) {
				in.TumblingWindowSeconds, in.ParallelizationFactor = new(int64(60)), new(int64(2))
			},
		},
		{
			"a filter that is no pattern (V15, S-14), before the missing function", parameter,
			"Invalid filter pattern definition.",
			func(in *CreateInput) { in.Filters, in.FunctionName = []string{"{}"}, new("absent") },
		},
		{
			"a list of values for data (V16)", parameter, "Invalid filter pattern definition.",
			func(in *CreateInput) { in.Filters = []string{`{"data":["plain"]}`} },
		},
		{
			"six filters (V17, S-101)", parameter,
			"The number of filters in FilterCriteria exceeds the limit of 5.",
			func(in *CreateInput) { in.Filters = slices.Repeat([]string{`{"data":{"a":[1]}}`}, 6) },
		},
		{
			"a pattern of 4,097 characters", validation,
			one("filterCriteria.filters.2.member.pattern", strings.Repeat("ä", 4097),
				"Member must have length less than or equal to 4096"),
			func(in *CreateInput) {
				in.Filters = []string{strings.Repeat("ä", 4096), strings.Repeat("ä", 4097)}
			},
		},
		{
			"metrics that only Kafka has", parameter,
			"Unsupported MetricsConfig metric ErrorCount for given event source mapping type.",
			func(in *CreateInput) { in.Metrics = []string{"EventCount", "ErrorCount"} },
		},
		{
			"51 tags, after the starting position", parameter, "Number of tags exceeds resource tag limit.",
			func(in *CreateInput) { in.Tags, in.FunctionName = manyTags(51), new("absent") },
		},
		{
			"a tag without a key", validation,
			one("tags", "{=v}",
				"Map keys must satisfy constraint: [Member must have length less than or equal to 128, "+
					"Member must have length greater than or equal to 1]"),
			func(in *CreateInput) { in.Tags = map[string]string{"": "v"} },
		},
		{
			"a version of capacity providers", parameter,
			"FunctionName with $LATEST.PUBLISHED is not supported: " +
				"it names a version of capacity providers, which there are none of." + seePage,
			func(in *CreateInput) { in.FunctionName = new("f:$LATEST.PUBLISHED") },
		},
		{
			"V2 with a version that is not there", parameter, "Function does not exist",
			func(in *CreateInput) { in.FunctionName = new("f:7") },
		},
		{
			"a stream consumer that is not there", parameter, "Stream not found: " + orders + "/consumer/c:1700000000",
			func(in *CreateInput) { in.EventSourceARN = new(orders + "/consumer/c:1700000000") },
		},
		{
			"another kind of source", parameter,
			"EventSourceArn of service dynamodb is not supported: only Kinesis streams are accepted." + seePage,
			func(in *CreateInput) {
				in.EventSourceARN = new(
					"arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2024-01-01T00:00:00.000",
				)
			},
		},
		{
			"a FIFO queue as destination, before the missing function and source", parameter,
			"Unsupported DestinationConfig parameter for given event source mapping type.", func(in *CreateInput) {
				in.FunctionName, in.EventSourceARN = new("absent"), nil
				in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:q.fifo"}
			},
		},
		{
			"a queue ARN without a queue", parameter,
			"DestinationConfig.OnFailure.Destination arn:aws:sqs:us-east-1:000000000000: is not the ARN of an SQS queue.",
			func(in *CreateInput) {
				in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:"}
			},
		},
		{
			"an unknown response type", validation, one("functionResponseTypes", "[X]",
				"Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures]]"),
			func(in *CreateInput) { in.ResponseTypes = []string{"X"} },
		},
		{
			"no function name but an empty text", validation,
			one("functionName", "", "Member must have length greater than or equal to 1"),
			func(in *CreateInput) { in.FunctionName = new("") },
		},
		{
			"a function name that is none", validation,
			one("functionName", "f!", "Member must satisfy regular expression pattern: "+functionPattern),
			func(in *CreateInput) { in.FunctionName = new("f!") },
		},
		{
			"an ARN that is none", validation,
			one("eventSourceArn", "orders", "Member must satisfy regular expression pattern: "+sourcePattern),
			func(in *CreateInput) { in.EventSourceARN = new("orders") },
		},
		{
			"a destination that is none", validation,
			one(
				"destinationConfig.onFailure.destination", "dead",
				"Member must satisfy regular expression pattern: "+destinationPattern,
			),
			func(in *CreateInput) { in.Destination = &DestinationConfig{OnFailure: "dead"} },
		},
		{
			"every broken constraint at once, before all else (V20)", validation,
			"2 validation errors detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
				"Value '901' at 'tumblingWindowInSeconds' failed to satisfy constraint: Member must have value less than or equal to 900",
			func(in *CreateInput) {
				in.BatchSize, in.TumblingWindowSeconds, in.EventSourceARN = new(int64(0)), new(int64(901)), nil
				in.Inapplicable = []string{"Topics"}
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)

			_, _, err := b.Create(t.Context(), me, input(c.edit))

			wantFault(t, err, c.code, c.message)
			if b.coord.keys() != 0 {
				t.Error("a refused request left something behind")
			}
		})
	}
}

// S-02, S-11, S-12, V20, V24: the bounds of the service model, both ends of each, and accepted values in between.
func TestBoundsOfTheServiceModel(t *testing.T) {
	t.Parallel()
	knobs := map[string]func(*CreateInput, int64){
		"batchSize":                      func(in *CreateInput, n int64) { in.BatchSize = &n },
		"maximumBatchingWindowInSeconds": func(in *CreateInput, n int64) { in.BatchingWindowSeconds = &n },
		"parallelizationFactor":          func(in *CreateInput, n int64) { in.ParallelizationFactor = &n },
		"maximumRetryAttempts":           func(in *CreateInput, n int64) { in.MaxRetries = &n },
		"maximumRecordAgeInSeconds":      func(in *CreateInput, n int64) { in.MaxAgeSeconds = &n },
		"tumblingWindowInSeconds":        func(in *CreateInput, n int64) { in.TumblingWindowSeconds = &n },
	}
	bounds := map[string]struct{ below, above, accepted []int64 }{
		// 500 without a window: V24
		"batchSize":                      {[]int64{-1, 0}, []int64{10_001, 1 << 62}, []int64{1, 500, 10_000}},
		"maximumBatchingWindowInSeconds": {[]int64{-1}, []int64{301}, []int64{0, 300}},
		"parallelizationFactor":          {[]int64{0}, []int64{11}, []int64{1, 10}},
		"maximumRetryAttempts":           {[]int64{-2}, []int64{10_001}, []int64{-1, 0, 10_000}},
		"maximumRecordAgeInSeconds":      {[]int64{-2}, []int64{604_801}, []int64{-1, 60, 604_800}},
		"tumblingWindowInSeconds":        {[]int64{-1}, []int64{901}, []int64{0, 1, 900}},
	}
	for path, bound := range bounds {
		try := func(n int64) error {
			_, _, err := setup(t).Create(t.Context(), me, input(func(in *CreateInput) { knobs[path](in, n) }))
			return err
		}
		refused := func(n int64, word string) {
			if err := try(n); fault.CodeOf(err) != validation || !strings.Contains(err.Error(), "at '"+path+"'") ||
				!strings.Contains(err.Error(), word) {
				t.Errorf("%s %d: got %v", path, n, err)
			}
		}
		for _, n := range bound.below {
			refused(n, "greater than or equal to")
		}
		for _, n := range bound.above {
			refused(n, "less than or equal to")
		}
		for _, n := range bound.accepted {
			if err := try(n); err != nil {
				t.Errorf("%s %d: %v", path, n, err)
			}
		}
	}
}

// V13 aside, Update checks what Create checks; V21 looks at the factor that the mapping has.
func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, code, message string
		knobs               Knobs
	}{
		{
			"a bound", validation,
			"1 validation error detected: Value '0' at 'parallelizationFactor' failed to satisfy constraint: " +
				"Member must have value greater than or equal to 1",
			Knobs{ParallelizationFactor: new(int64(0))},
		},
		{
			"OnSuccess", parameter, "Unsupported DestinationConfig parameter for given event source mapping type.",
			Knobs{Destination: &DestinationConfig{OnSuccess: true}},
		},
		{
			"an age below a minute", parameter, "MaximumRecordAgeInSeconds must be -1 or between 60 and 604800",
			Knobs{MaxAgeSeconds: new(int64(0))},
		},
		{
			"a window on a mapping with a factor (V21)", parameter,
			"ParallelizationFactor must be 1 when TumblingWindowInSeconds is set",
			Knobs{TumblingWindowSeconds: new(int64(60))},
		},
		{"a function that does not exist", parameter, "Function does not exist", Knobs{FunctionName: new("absent")}},
		{
			"a FIFO topic as destination", parameter,
			"Unsupported DestinationConfig parameter for given event source mapping type.",
			Knobs{Destination: &DestinationConfig{OnFailure: "arn:aws:sns:us-east-1:000000000000:t.fifo"}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m := b.create(t, func(in *CreateInput) { in.ParallelizationFactor = new(int64(2)) })

			// The mapping is still Creating: a call that cannot succeed is refused without waiting.
			_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{c.knobs})

			wantFault(t, err, c.code, c.message)
			if got := b.get(t, m.UUID); got.Version != 1 {
				t.Error("a refused update changed the mapping")
			}
		})
	}
}

// S-13, V21: a tumbling window and a factor above 1 exclude each other whichever came first; one call can exchange
// them.
func TestWindowAndFactorExcludeEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) { in.TumblingWindowSeconds = new(int64(60)) })
	b.settle(t)

	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs{ParallelizationFactor: new(int64(2))}})
	wantFault(t, err, parameter, "ParallelizationFactor must be 1 when TumblingWindowInSeconds is set")

	for _, k := range []Knobs{
		{ParallelizationFactor: new(int64(2)), TumblingWindowSeconds: new(int64(0))},
		{ParallelizationFactor: new(int64(1)), TumblingWindowSeconds: new(int64(900))},
	} {
		if _, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{k}); err != nil {
			t.Fatal(err)
		}
		b.settle(t)
	}
	if got := b.get(t, m.UUID).Core(); got.TumblingWindow != 15*time.Minute || got.Factor != 1 {
		t.Errorf("a window of %s and a factor of %d", got.TumblingWindow, got.Factor)
	}
}

// Lambda API Reference, FunctionName: name, partial ARN, full ARN, each with or without a qualifier.
func TestFunctionNamesAreTakenApart(t *testing.T) {
	t.Parallel()
	cases := map[string]functionRef{
		"f":                                     {name: "f"},
		"f:1":                                   {name: "f", qualifier: "1"},
		"f:$LATEST":                             {name: "f", qualifier: "$LATEST"},
		"f:$LATEST.PUBLISHED":                   {name: "f", qualifier: "$LATEST.PUBLISHED"},
		"function:f":                            {name: "f"},
		"123456789012:function:f:live":          {account: "123456789012", name: "f", qualifier: "live"},
		"123456789:function:f":                  {account: "123456789", name: "f"},
		"eu-west-1:123456789012:function:f":     {region: "eu-west-1", account: "123456789012", name: "f"},
		"123:function":                          {name: "123", qualifier: "function"},
		"arn:aws:lambda:eu-west-1:1:function:f": {partition: "aws", region: "eu-west-1", account: "1", name: "f"},
		"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:7": {
			partition: "aws-us-gov", region: "us-gov-west-1", account: "123456789012", name: "f", qualifier: "7",
		},
	}
	for text, want := range cases {
		if got, ok := parseFunction(text); !ok || got != want {
			t.Errorf("%s: got %+v %t, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", ":", "f:", "f g", "arn:aws:s3:::f", "f:1:2", "f:$latest", "1234567890123:function:f",
	} {
		if got, ok := parseFunction(text); ok {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
}

// No text that a request can carry as an ARN or a name panics, and what is accepted has a full account id.
func FuzzARNs(f *testing.F) {
	for _, s := range []string{
		orders, "f:$LATEST", "arn:aws:sqs:us-east-1:1:q", "arn:aws:s3:::b-1", "arn:aws:kinesis:::stream/", "kafka://t",
		"arn:aws:kinesis:us-east-1:1:stream/a/consumer/b:1", "", "arn",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v fault.Violations
		checkFunctionName(&v, s)
		checkSourceForm(&v, s)
		checkDestinationForm(&v, s)
		parseFunction(s)
		for _, read := range []func(string) (string, string, error){me.source, me.destination} {
			folded, _, err := read(s)
			if err == nil && folded != "" && !strings.HasPrefix(folded, "arn:aws:s3:::") &&
				!strings.Contains(folded, ":"+me.Account+":") &&
				len(strings.Split(folded, ":")[4]) != 12 {
				t.Errorf("%q was accepted as %q", s, folded)
			}
		}
	})
}
