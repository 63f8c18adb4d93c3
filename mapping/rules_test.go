package mapping

import (
	"context"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// rule is one condition that Create refuses, with the edit that makes it so.
type rule struct {
	name, code, message string
	edit                func(*CreateInput)
	denied, taken       bool // the role may not read the stream; the pair has a mapping
}

// ordered are rules in the order of AWS's checks: service model, applicable parameters, event source, starting
// position, our choice for values that the model lets pass, function, stream, access, duplicate. Lambda API Reference,
// CreateEventSourceMapping, and recorded answers; the place of V23 is ours.
func ordered() []rule {
	return []rule{
		{
			name: "V20", code: validation,
			message: "1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: " +
				"Member must have value less than or equal to 10000",
			edit: func(in *CreateInput) { in.BatchSize = new(int64(10_001)) },
		},
		{
			name: "V18", code: parameter,
			message: "Unsupported DestinationConfig parameter for given event source mapping type.",
			edit:    func(in *CreateInput) { in.Destination = &DestinationConfig{OnSuccess: true} },
		},
		{
			name: "V1", code: parameter, message: "Unrecognized event source.",
			edit: func(in *CreateInput) { in.EventSourceARN = nil },
		},
		{
			name: "V4", code: parameter,
			message: "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: " +
				"Member must not be null.",
			edit: func(in *CreateInput) { in.StartingPosition = nil },
		},
		{
			name: "V19", code: parameter, message: "MaximumRecordAgeInSeconds must be -1 or between 60 and 604800",
			edit: func(in *CreateInput) { in.MaxAgeSeconds = new(int64(59)) },
		},
		{
			name: "V21", code: parameter, message: "ParallelizationFactor must be 1 when TumblingWindowInSeconds is set",
			edit: func(in *CreateInput) {
				in.TumblingWindowSeconds, in.ParallelizationFactor = new(int64(60)), new(int64(2))
			},
		},
		{
			name: "V2", code: parameter, message: "Function does not exist",
			edit: func(in *CreateInput) { in.FunctionName = new("absent") },
		},
		{
			name: "V3", code: parameter, message: "Stream not found: " + orders + "-absent",
			edit: func(in *CreateInput) { in.EventSourceARN = new(orders + "-absent") },
		},
		{
			name: "V23", code: parameter, denied: true,
			message: "Cannot access stream " + orders + ". Please ensure the role can perform the GetRecords, " +
				"GetShardIterator, DescribeStream, ListShards, and ListStreams Actions on your stream in IAM.",
			edit: func(*CreateInput) {},
		},
		{
			name: "V9", code: fault.CodeConflict, taken: true,
			message: `The event source arn (" ` + orders + ` ") and function (" f ") provided mapping already exists. ` +
				"Please update or delete the existing mapping with UUID 00000000-0000-4000-8000-000000000001",
			edit: func(*CreateInput) {},
		},
	}
}

// Of two rules that a request breaks, the answer names the one that comes first. V18 and V1 fire although the function
// does not exist, V9 is the last.
func TestRulesComeInAWSsOrder(t *testing.T) {
	t.Parallel()
	rules := ordered()
	for i := range rules {
		for j := i; j < len(rules); j++ {
			first, second := rules[i], rules[j]
			t.Run(first.name+" before "+second.name, func(t *testing.T) {
				t.Parallel()
				denied := false
				uuids := []string{
					"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002",
				}
				b := setup(t, func(o *Options) {
					o.MayRead = func(context.Context, Caller, string, string) (bool, error) { return !denied, nil }
					o.NewUUID = func() string {
						id := uuids[0]
						uuids = uuids[1:]
						return id
					}
				})
				if first.taken || second.taken {
					b.create(t)
				}
				denied = first.denied || second.denied
				keys := b.coord.keys()

				_, _, err := b.Create(t.Context(), me, input(second.edit, first.edit))

				wantFault(t, err, first.code, first.message)
				if b.coord.keys() != keys {
					t.Error("a refused request left something behind")
				}
			})
		}
	}
}

// The function is looked up before a kind of event source is refused, which needs no starting position (recorded
// 2025-11-27).
func TestTheFunctionIsLookedUpBeforeAKindOfSourceIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for source, want := range map[string]string{
		"arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2024-01-01T00:00:00.000": "EventSourceArn of service " +
			"dynamodb is not supported: only Kinesis streams are accepted." + seePage,
		"arn:aws:sqs:us-east-1:000000000000:q": "EventSourceArn of service sqs is not supported: only Kinesis streams " +
			"are accepted." + seePage,
		"arn:aws:s3:::bucket": "Unrecognized event source.",
	} {
		of := func(function string) error {
			_, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) {
				in.EventSourceARN, in.FunctionName, in.StartingPosition = &source, &function, nil
			}))
			return err
		}

		wantFault(t, of("absent"), parameter, "Function does not exist")
		wantFault(t, of("f"), parameter, want)
	}
}

// The rules that are no refusal of Create, or one of a single value. V5 to V8: starting positions. V10: another
// function of the same stream is another mapping. V12: an unknown UUID. V15 to V17: filters; V22: with a tumbling
// window they are accepted. V24: more than 10 records need no batching window. V11 is pinned with qualifiers, V13 and
// V14 by TestTransitionalStatesRefuseAtAWSPace, V25 and V26 with tags.
func TestRulesOfSingleValues(t *testing.T) {
	t.Parallel()
	create := func(edit func(*CreateInput)) error {
		_, _, err := setup(t).Create(t.Context(), me, input(edit))
		return err
	}
	for name, c := range map[string]struct {
		code, message string
		edit          func(*CreateInput)
	}{
		"V5": {
			validation, "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
			func(in *CreateInput) { in.StartingPosition = new("invalid") },
		},
		"V6": {
			parameter, "StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP",
			func(in *CreateInput) { in.StartingPosition = new(AtTimestamp) },
		},
		"V7": {
			parameter, "StartingPositionTimestamp cannot be in the future",
			func(in *CreateInput) {
				in.StartingPosition, in.StartingPositionTimestamp = new(AtTimestamp), new(record.Millis(1)<<50)
			},
		},
		"V8": {
			parameter, "StartingPositionTimestamp is valid only when StartingPosition is AT_TIMESTAMP",
			func(in *CreateInput) { in.StartingPositionTimestamp = new(record.Millis(1)) },
		},
		"V15": {
			parameter, "Invalid filter pattern definition.",
			func(in *CreateInput) { in.Filters = []string{`[{"eventName": ["INSERT"=123}]`} },
		},
		"V16": {
			parameter, "Invalid filter pattern definition.",
			func(in *CreateInput) { in.Filters = []string{`{"data":"plain text"}`} },
		},
		"V17": {
			parameter, "The number of filters in FilterCriteria exceeds the limit of 5.",
			func(in *CreateInput) {
				for range 6 {
					in.Filters = append(in.Filters, `{"data":{"a":[1]}}`)
				}
			},
		},
		"V8, the oldest record": {
			parameter, "StartingPositionTimestamp is valid only when StartingPosition is AT_TIMESTAMP",
			func(in *CreateInput) {
				in.StartingPosition, in.StartingPositionTimestamp = new(TrimHorizon), new(record.Millis(1))
			},
		},
	} {
		t.Log(name)
		wantFault(t, create(c.edit), c.code, c.message)
	}
	if err := create(func(in *CreateInput) {
		in.BatchSize, in.BatchingWindowSeconds = new(int64(500)), new(int64(0))
	}); err != nil {
		t.Error("V24:", err)
	}
	if err := create(func(in *CreateInput) {
		in.TumblingWindowSeconds, in.Filters = new(int64(60)), []string{`{"data":{"a":[1]}}`}
	}); err != nil {
		t.Error("V22:", err)
	}
	b := setup(t)
	b.create(t)
	if _, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) { in.FunctionName = new("g") })); err != nil {
		t.Error("V10:", err)
	}
	_, err := b.Get(t.Context(), me, "00000000-0000-4000-8000-00000000dead")
	wantFault(t, err, fault.CodeNotFound, "The resource you requested does not exist.")
}
