package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/eventually"
)

// owner is an account and a region.
type owner struct{ account, region string }

// as calls Lambda as an owner.
func (b *bench) as(o owner, method, path, body string) string {
	b.Helper()
	who := strings.NewReplacer("000000000000", o.account, "us-east-1", o.region).Replace(
		fmt.Sprintf(signature, "lambda"),
	)
	return b.ok(b.do(method, path, body, "Authorization", who))
}

// speaker makes a function that prints its payload, and lets it.
func (b *bench) speaker(o owner, name, group, says string) {
	b.Helper()
	in := map[string]any{
		"FunctionName": name, "Runtime": "provided.al2023", "Handler": "x",
		"Role":        "arn:aws:iam::" + o.account + ":role/r",
		"Code":        map[string]any{"ZipFile": b.code()},
		"Environment": map[string]any{"Variables": map[string]string{"SERVER_TEST_BOOTSTRAP": "1"}},
	}
	if group != "" {
		in["LoggingConfig"] = map[string]any{"LogGroup": group}
	}
	body, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	b.as(o, "POST", "/2015-03-31/functions", string(body))
	b.as(o, "POST", "/2015-03-31/functions/"+name+"/invocations", `"say `+says+`"`)
}

// said waits until a function's log has a line, and returns all lines that the function printed.
func (b *bench) said(o owner, name, line string) string {
	b.Helper()
	q := url.Values{"function": {name}, "account": {o.account}, "region": {o.region}}
	var got string
	eventually.Reaches(b, fmt.Sprintf("%q in the log of %s of %v", line, name, o), func() (bool, string) {
		var said []string
		for text := range strings.Lines(b.ok(b.control("GET", control.PathLogs+"?"+q.Encode(), ""))) {
			var l control.LogLine
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				b.Fatal(err)
			}
			if words, ok := strings.CutPrefix(l.Message, `"say `); ok {
				said = append(said, strings.TrimSuffix(words, `"`))
			}
		}
		got = strings.Join(said, ", ")
		return strings.Contains(got, line), got
	})
	return got
}

// A name is not an identity: the log of a function is what this one wrote, in its account and region and in its
// configured group, and nothing of its namesakes elsewhere or of others that write to the same group.
func TestLogsAreThoseOfOneFunction(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	here, abroad, other := owner{"000000000000", "us-east-1"}, owner{"000000000000", "eu-west-1"}, owner{
		"111122223333", "us-east-1",
	}
	b.speaker(here, "f", "", "one")
	b.speaker(abroad, "f", "", "two")
	b.speaker(other, "f", "", "three")
	b.speaker(here, "g", "shared", "four")
	b.speaker(here, "h", "shared", "five")
	b.speaker(here, "guest", "/aws/lambda/f", "six")

	for _, c := range []struct {
		owner
		name, want string
	}{
		{here, "f", "one"},
		{abroad, "f", "two"},
		{other, "f", "three"},
		{here, "g", "four"},
		{here, "h", "five"},
		{here, "guest", "six"},
	} {
		if got := b.said(c.owner, c.name, c.want); got != c.want {
			t.Errorf("the log of %s of %v has %s, want %s", c.name, c.owner, got, c.want)
		}
	}

	_, page := b.do("GET", control.PathMetrics, "")
	for _, o := range []owner{here, abroad, other} {
		if want := fmt.Sprintf(
			`shardmill_function_invocations_total{account="%s",region="%s",function="f"} 1`, o.account, o.region,
		); !strings.Contains(page, want+"\n") {
			t.Errorf("Prometheus is not told %s", want)
		}
	}

	// The logs of a deleted function stay. A function that does not exist, or exists elsewhere, is an error and not an
	// empty log.
	b.as(here, "DELETE", "/2015-03-31/functions/f", "")
	b.said(here, "f", "one")
	for query, want := range map[string]string{
		"?function=nobody": "there is no function nobody in account 000000000000, us-east-1, and nothing is left that one has logged",
		"?function=f&account=444455556666&region=eu-west-1": "there is no function f in account 444455556666, eu-west-1, and nothing is left that one has logged; " +
			"there is one in account 000000000000, eu-west-1",
	} {
		if status, answer := b.control("GET", control.PathLogs+query, ""); status != 404 ||
			!strings.Contains(answer, `"`+want+`"`) {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":7200000}`))
	// two hours later, by the clock that can be moved
	for since, want := range map[string]bool{"119m": false, "3h": true} {
		if lines := b.ok(b.control(
			"GET", control.PathLogs+"?function=g&since="+since, "",
		)); strings.Contains(lines, "four") != want {
			t.Errorf("since %s: %s", since, lines)
		}
	}
	for _, query := range []string{
		"", "?function=a/b", "?function=arn:aws:lambda:us-east-1:111122223333:function:f",
		"?function=g&since=yesterday",
	} {
		if status, answer := b.control("GET", control.PathLogs+query, ""); status != 400 {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
}

// A replay that names account and region finds the mapping only there, and is logged in its own function's log.
func TestReplayLooksWhereItIsTold(t *testing.T) {
	t.Parallel()
	observe, _, ended := attempts()
	b := start(t, Config{Dev: true, Observe: observe})
	b.pipeline()
	b.ok(b.lambda("PUT", "/2015-03-31/functions/f/configuration", `{"LoggingConfig":{"LogGroup":"shared"}}`))
	var put, other struct{ SequenceNumber string }
	if err := json.Unmarshal(
		[]byte(b.ok(b.kinesis("PutRecord", `{"StreamName":"orders","PartitionKey":"k","Data":"AA=="}`))), &put,
	); err != nil {
		t.Fatal(err)
	}
	<-ended
	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":2000}`))
	b.ok(b.kinesis("CreateStream", `{"StreamName":"others","ShardCount":1}`))
	if err := json.Unmarshal(
		[]byte(b.ok(b.kinesis("PutRecord", `{"StreamName":"others","PartitionKey":"k","Data":"AA=="}`))), &other,
	); err != nil {
		t.Fatal(err)
	}
	var list struct{ EventSourceMappings []struct{ UUID string } }
	if err := json.Unmarshal(
		[]byte(b.ok(b.lambda("GET", "/2015-03-31/event-source-mappings", ""))), &list,
	); err != nil {
		t.Fatal(err)
	}
	in := control.ReplayRequest{
		Mapping: list.EventSourceMappings[0].UUID, Shard: "shardId-000000000000", From: put.SequenceNumber,
		To: put.SequenceNumber,
	}
	for _, c := range []struct {
		account, region string
		status          int
		want            string
	}{
		{"", "", 200, `"outcome":"ok"`},
		{"000000000000", "us-east-1", 200, `"outcome":"ok"`},
		{
			"000000000000", "eu-west-1", 404,
			"is in account 000000000000, us-east-1; it was looked for in account 000000000000, eu-west-1",
		},
		{
			"111122223333", "us-east-1", 404,
			"is in account 000000000000, us-east-1; it was looked for in account 111122223333, us-east-1",
		},
	} {
		in.Account, in.Region = c.account, c.region
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := b.control("POST", control.PathReplay, string(body)); status != c.status ||
			!strings.Contains(answer, c.want) {
			t.Errorf("%s %s: %d %s", c.account, c.region, status, answer)
		}
	}
	in.Account, in.Region = "", ""
	for _, ends := range [][2]string{
		{other.SequenceNumber, put.SequenceNumber}, {put.SequenceNumber, other.SequenceNumber},
	} {
		in.From, in.To = ends[0], ends[1]
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := b.control("POST", control.PathReplay, string(body)); status != 400 ||
			!strings.Contains(answer, "of another shard or stream") {
			t.Errorf("%v: %d %s", ends, status, answer)
		}
	}
	var told []string
	for text := range strings.Lines(b.ok(b.control("GET", control.PathLogs+"?function=f", ""))) {
		var l control.LogLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(l.Message, "REPLAY ") {
			told = append(told, l.Stream)
		}
	}
	if want := []string{"shardmill/replay/f", "shardmill/replay/f"}; !slices.Equal(told, want) {
		t.Errorf("replays are logged in %v, want %v", told, want)
	}
}
