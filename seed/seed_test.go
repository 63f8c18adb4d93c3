package seed

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var owner = Owner{"000000000000", "us-east-1"}

const whole = `# Everything that a pipeline needs.
Streams:
  - Name: orders
    ShardCount: 4
Tables:
  - TableName: processed
    AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
    KeySchema: [{AttributeName: id, KeyType: HASH}]
Queues:
  - QueueName: failures
    VisibilityTimeout: 0x1e
Functions:
  - FunctionName: worker
    Runtime: python3.12
    Handler: handler.handler
    CodeUri: ./src
    Environment:
      Variables: {LIMIT: 010, TABLE: processed, FLAG: true}
Mappings:
  - FunctionName: worker
    EventSourceArn: orders
    StartingPosition: AT_TIMESTAMP
    StartingPositionTimestamp: 1700000000.5
    Enabled: false
    FunctionResponseTypes: [ReportBatchItemFailures]
    DestinationConfig: {OnFailure: {Destination: failures}}
  - FunctionName: arn:aws:lambda:us-east-1:000000000000:function:elsewhere
    EventSourceArn: arn:aws:kinesis:us-east-1:000000000000:stream/far
    StartingPosition: LATEST
`

// A seed file becomes AWS's parameters: names are completed to ARNs, values keep their types, variables keep their
// text.
func TestSeedBecomesParameters(t *testing.T) {
	t.Parallel()
	p, err := Parse("seed.yaml", []byte(whole), owner)
	if err != nil {
		t.Fatal(err)
	}
	type in = map[string]any
	got := [][]in{}
	for _, items := range [][]Item{p.Streams, p.Tables, p.Queues, p.Functions, p.Mappings} {
		inputs := []in{}
		for _, it := range items {
			inputs = append(inputs, it.Input)
		}
		got = append(got, inputs)
	}
	want := [][]in{
		{{"Name": "orders", "ShardCount": int64(4)}},
		{{
			"TableName": "processed", "AttributeDefinitions": []any{in{"AttributeName": "id", "AttributeType": "S"}},
			"KeySchema": []any{in{"AttributeName": "id", "KeyType": "HASH"}},
		}},
		{{"QueueName": "failures", "VisibilityTimeout": int64(30)}},
		{{
			"FunctionName": "worker", "Runtime": "python3.12", "Handler": "handler.handler", "CodeUri": "./src",
			"Environment": in{"Variables": in{"LIMIT": "010", "TABLE": "processed", "FLAG": "true"}},
		}},
		{{
			"FunctionName": "worker", "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
			"StartingPosition":          "AT_TIMESTAMP",
			"StartingPositionTimestamp": 1700000000.5, "Enabled": false,
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"},
			"DestinationConfig":     in{"OnFailure": in{"Destination": "arn:aws:sqs:us-east-1:000000000000:failures"}},
		}, {
			"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:elsewhere", "StartingPosition": "LATEST",
			"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/far",
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	f := p.Functions[0]
	if f.Name != "worker" || f.At.String() != "seed.yaml:13:5" || f.Key("CodeUri").String() != "seed.yaml:16:14" ||
		f.Key("Role") != f.At {
		t.Errorf("%s at %s, CodeUri at %s", f.Name, f.At, f.Key("CodeUri"))
	}
}

// Errors that show in the file alone are reported with line and column, the nearest key or name, and what would be
// right.
func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	const mapping = "Streams: [{Name: orders}]\nFunctions: [{FunctionName: worker, CodeUri: ., Runtime: python3.12}]\nQueues: [{QueueName: failures}]\nMappings:\n  - "
	const good = "FunctionName: worker\n    EventSourceArn: orders\n    StartingPosition: LATEST\n    "
	for _, c := range []struct{ file, want string }{
		{"", "1:1: the file is empty; a seed file has the keys Streams, Tables, Queues, Functions, Mappings"},
		{
			"# nothing\n",
			"1:1: the file is empty; a seed file has the keys Streams, Tables, Queues, Functions, Mappings",
		},
		{"a: b: c", "1: this is not YAML: mapping values are not allowed in this context"},
		{"Streams: [\n", "1: this is not YAML: did not find expected node content"},
		{"Streams: []\n---\nStreams: []\n", "2:1: a second document begins here; a seed file has one"},
		{"hello", `1:1: a seed file must be keys and values; it is "hello"`},
		{"Strems: []", "1:1: unknown key Strems; did you mean Streams?"},
		{"Resources: {}", "1:1: unknown key Resources; did you mean Streams, Tables, Queues, Functions, Mappings?"},
		{"Streams: {Name: a}", "1:10: Streams must be a list: each stream begins with “- ”; it is keys and values"},
		{"Streams:\n  - orders", `2:5: a stream must be keys and values; it is "orders"`},
		{"Streams:\n  - ShardCount: 1", "2:5: a stream needs the key Name"},
		{"Streams:\n  - StreamName: s\n    Name: s", "2:5: unknown key StreamName; did you mean Name?"},
		{"Streams:\n  - Name: s\n    Name: t", "3:5: the key Name is here twice; the first is in line 2"},
		{"Streams:\n  - Name: s\n  - Name: s", "3:5: the stream s is here twice; the first is in line 2"},
		{
			"Streams:\n  - Name: 7",
			"2:11: Name must be text (quote it if it looks like something else); it is the number 7",
		},
		{
			"Streams:\n  - Name: s\n    ShardCount: 0",
			"3:17: ShardCount must be a whole number from 1 on; it is the number 0",
		},
		{"Streams:\n  - Name: s\n    ShardCount: '2'", `3:17: ShardCount must be a whole number from 1 on; it is "2"`},
		{"Streams:\n  - Name: s\n    ShardCount:", "3:16: ShardCount must be a whole number from 1 on; it is empty"},
		{
			"Streams:\n  - &s {Name: s}\n  - *s",
			"3:5: aliases (*s) are not followed in a seed file; write the value out",
		},
		{"Streams:\n  - Name: !Ref S", "2:11: !Ref is not evaluated in a seed file; write the value itself"},
		{
			"Functions:\n  - {FunctionName: f, Runtime: x, CodeUri: ., Environment: {Variables: {A: 1}}}",
			`2:73: a name in Variables must be there once, begin with a letter, and have two or more letters, digits and underscores; "A" does not`,
		},
		{
			"Functions:\n  - {FunctionName: f, Runtime: x, Code: .}",
			"2:5: a function needs the key CodeUri\n2:35: unknown key Code; did you mean CodeUri?",
		},
		{mapping + good + "BatchSze: 10", "8:5: unknown key BatchSze; did you mean BatchSize?"},
		{
			mapping + good + "Frobnicate: 1",
			"8:5: unknown key Frobnicate; known are BatchSize, BisectBatchOnFunctionError, DestinationConfig, Enabled, EventSourceArn, FilterCriteria, FunctionName, FunctionResponseTypes, MaximumBatchingWindowInSeconds, MaximumRecordAgeInSeconds, MaximumRetryAttempts, MetricsConfig, ParallelizationFactor, StartingPosition, StartingPositionTimestamp, Tags, TumblingWindowInSeconds",
		},
		{
			mapping + good + "BatchSize: 10001",
			"8:16: BatchSize must be a whole number from 1 to 10000; it is the number 10001",
		},
		{
			mapping + good + "BatchSize: 1.5",
			"8:16: BatchSize must be a whole number from 1 to 10000; it is the number 1.5",
		},
		{mapping + good + "Enabled: 'yes'", `8:14: Enabled must be true or false; it is "yes"`},
		{
			mapping + good + "FunctionResponseTypes: [ReportBatchItemFailure]",
			`8:29: an element of FunctionResponseTypes must be ReportBatchItemFailures; it is "ReportBatchItemFailure"; did you mean ReportBatchItemFailures?`,
		},
		{
			mapping + good + "DestinationConfig: {OnFailure: {Destination: failure}}",
			"8:24: there is no queue failure in this file; did you mean failures?",
		},
		{mapping + good + "DestinationConfig: {}", "8:24: DestinationConfig needs the key OnFailure"},
		{
			mapping + "FunctionName: worker\n    EventSourceArn: order\n    StartingPosition: LATEST",
			"6:21: there is no stream order in this file; did you mean orders?",
		},
		{
			mapping + "FunctionName: nobody\n    EventSourceArn: orders\n    StartingPosition: LATEST",
			"5:19: there is no function nobody in this file; name one of this file, or write an ARN",
		},
		{
			mapping + "FunctionName: worker\n    EventSourceArn: orders\n    StartingPosition: latest",
			`7:23: StartingPosition must be TRIM_HORIZON, LATEST or AT_TIMESTAMP; it is "latest"; did you mean LATEST?`,
		},
		{
			mapping + "FunctionName: worker\n    EventSourceArn: orders\n    StartingPosition: AT_TIMESTAMP",
			"7:23: AT_TIMESTAMP needs the key StartingPositionTimestamp, in seconds since 1970",
		},
		{
			mapping + good + "StartingPositionTimestamp: 5",
			"8:32: StartingPositionTimestamp goes with StartingPosition AT_TIMESTAMP only",
		},
		{
			mapping + strings.TrimSpace(good) + "\n  - " + good,
			"8:5: the mapping of arn:aws:kinesis:us-east-1:000000000000:stream/orders to worker is here twice; the first is in line 5",
		},
		{strings.Repeat("#", MaxBytes+1), "1:1: the file is larger than 1048576 bytes"},
	} {
		p, err := Parse("f", []byte(c.file), owner)
		want := "f:" + strings.ReplaceAll(c.want, "\n", "\nf:")
		if p != nil || err == nil || err.Error() != want {
			t.Errorf("%.200s\ngot  %v\nwant %s", c.file, err, want)
		}
	}
}

// For a file with many errors, or too many items, the report is bounded.
func TestFaultsAndItemsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("Streams:\n"+strings.Repeat("  - {}\n", 500)), owner)
	var all Errors
	if !errors.As(err, &all) || len(all) != maxErrors || all[19].Error() != "f:21:5: a stream needs the key Name" {
		t.Errorf("%d faults: %v", len(all), err)
	}
	_, err = Parse("f", []byte("Streams:\n"+strings.Repeat("  - {Name: ''}\n", MaxItems+1)), owner)
	if err == nil || err.Error() != "f:1002:5: a seed file holds at most 1000 items" {
		t.Errorf("too many items: %v", err)
	}
}

// Every key that a seed file may have is in its documentation page.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/seed.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections() {
		_, rest, ok := strings.Cut(string(page), "\n## "+s.key+"\n")
		if !ok {
			t.Errorf("there is no part about %s", s.key)
			continue
		}
		part, _, _ := strings.Cut(rest, "\n## ")
		for key := range s.keys {
			if !strings.Contains(part, "| `"+key+"` |") {
				t.Errorf("%s: nothing about %s", s.key, key)
			}
		}
	}
}

// Any bytes give a plan or errors with a place, never a panic; a plan can be sent.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		whole, "", "a: b: c", "Streams: [{Name: s, ? [a] : b}]", "Streams: &a [*a]", "<<: {Streams: []}",
		"Mappings: [{DestinationConfig: {OnFailure: }}]", "Streams: [{Name: !!binary aGk=}]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := Parse("f", content, owner)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || all[0].At.Line < 1 || all[0].Problem == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	})
}
