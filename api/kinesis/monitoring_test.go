package kinesis

import (
	"strings"
	"testing"
)

// O-31: Current [], Desired the seven names; Disable ["IncomingBytes"] → Desired six. 3.8: in the model's order, ALL is
// never kept, what is not measured may be disabled.
func TestShardLevelMetricsAreSettings(t *testing.T) {
	t.Parallel()
	const seven = `["IncomingBytes","IncomingRecords","OutgoingBytes","OutgoingRecords","WriteProvisionedThroughputExceeded",` +
		`"ReadProvisionedThroughputExceeded","IteratorAgeMilliseconds"]`
	w := setup(t)
	w.create("s", 1)
	change := func(op, list string) reply {
		return w.call(op+"EnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":%s}`, list)
	}
	good := func(op, list, before, after string) {
		t.Helper()
		want := `{"CurrentShardLevelMetrics":` + before + `,"DesiredShardLevelMetrics":` + after +
			`,"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","StreamName":"s"}`
		if r := change(op, list); r.status != 200 || r.body != want {
			t.Fatalf("%d %s, want %s", r.status, r.body, want)
		}
		for _, op := range []string{"DescribeStream", "DescribeStreamSummary"} {
			if r := w.call(op, `{"StreamName":"s"}`); !strings.Contains(r.body, `"EnhancedMonitoring":[{"ShardLevelMetrics":`+after+`}]`) {
				t.Errorf("%s: %s", op, r.body)
			}
		}
	}
	good("Disable", `["ALL"]`, `[]`, `[]`)
	good("Enable", `["IteratorAgeMilliseconds","IncomingBytes"]`, `[]`, `["IncomingBytes","IteratorAgeMilliseconds"]`)
	good("Enable", `["IncomingBytes"]`, `["IncomingBytes","IteratorAgeMilliseconds"]`, `["IncomingBytes","IteratorAgeMilliseconds"]`)
	good("Disable", `["ALL"]`, `["IncomingBytes","IteratorAgeMilliseconds"]`, `[]`)
	good("Enable", `["ALL"]`, `[]`, seven)
	good("Disable", `["IncomingBytes","IncomingBytes"]`, seven, strings.Replace(seven, `"IncomingBytes",`, "", 1))

	const at = "1 validation error detected: Value '%s' at 'shardLevelMetrics' failed to satisfy constraint: "
	refused := func(list, shown, why string) {
		t.Helper()
		change("Enable", list).fails("ValidationException", strings.Replace(at, "%s", shown, 1)+why)
	}
	refused(`[]`, `[]`, "Member must have length greater than or equal to 1")
	refused(`["IncomingBytes","Nope"]`, "[IncomingBytes, Nope]", "Member must satisfy constraint: [Member must satisfy enum value set: "+
		"[IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, WriteProvisionedThroughputExceeded, "+
		"ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]")
	eight := "[" + strings.TrimSuffix(strings.Repeat("ALL, ", 8), ", ") + "]"
	refused(strings.ReplaceAll(eight, "ALL", `"ALL"`), eight,
		"Member must have length less than or equal to 7")
	w.call("EnableEnhancedMonitoring", `{"StreamName":"s"}`).fails("ValidationException",
		"1 validation error detected: Value null at 'shardLevelMetrics' failed to satisfy constraint: Member must not be null")
	w.call("EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":[1]}`).fails(
		"SerializationException", "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String")
	w.call("DisableEnhancedMonitoring", `{"StreamName":"q","ShardLevelMetrics":["ALL"]}`).fails(missing, "Stream q under account 000000000000 not found.")
}
