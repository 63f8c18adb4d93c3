package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/internal/eventually"
)

var withKinesalite = flag.Bool("kinesalite", false, "compare answers with those of kinesalite; see make kinesalite")

// parameter is a parameter of an operation, as kinesalite has it.
type parameter struct {
	Type     string
	Children json.RawMessage
}

// pair is the same Kinesis twice: kinesalite, whose checks and texts were recorded from AWS in 2020, and ours.
type pair struct {
	*testing.T
	ours, theirs string // endpoints
	types        map[string]map[string]parameter
	client       http.Client

	compared    int
	differences map[string]int // by reason
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{T: t, ours: start(t, newHome(t), "dev").Endpoint, differences: map[string]int{}}
	other := launch(t, newHome(t), nil, "node", absolute(t, "kinesalite/start.js"))
	var said struct {
		Port  int
		Types map[string]map[string]parameter
	}
	eventually.Holds(t, "kinesalite starts", func() bool {
		return json.Unmarshal([]byte(other.stdout.String()), &said) == nil
	})
	p.theirs, p.types = fmt.Sprintf("http://127.0.0.1:%d", said.Port), said.Types
	return p
}

// question is a request to both.
type question struct {
	method, query string
	header        map[string]string
	body          []byte
}

// said is an answer in a form that can be compared: fields by name, items of a validation error in order.
type said struct {
	status      int
	contentType string
	body        string
}

func (p *pair) ask(endpoint string, c question) said {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), c.method, endpoint+"/"+c.query, bytes.NewReader(c.body))
	if err != nil {
		p.Fatal(err)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.Fatal(err)
	}
	s := said{resp.StatusCode, resp.Header.Get("Content-Type"), string(body)}
	if s.status == 200 {
		s.body = "" // younger than kinesalite in many members
		return s
	}
	var members map[string]any
	if strings.HasSuffix(s.contentType, "cbor-1.1") {
		err = cbor.Unmarshal(body, &members)
	} else {
		err = json.Unmarshal(body, &members)
	}
	if err == nil && len(body) > 0 {
		for name, v := range members {
			if text, ok := v.(string); ok {
				members[name] = inOrder(text)
			}
		}
		b, err := json.Marshal(members)
		if err != nil {
			p.Fatal(err)
		}
		s.body = string(b)
	}
	return s
}

func inOrder(text string) string {
	head, items, ok := strings.Cut(text, " detected: ")
	if !ok {
		return text
	}
	all := strings.Split(items, "; ")
	slices.Sort(all)
	return head + " detected: " + strings.Join(all, "; ")
}

// expected are the differences that we want, by a pattern of kinesalite's answer or one of ours.
var expected = []struct {
	why          string
	theirs, ours string
}{
	{"StreamName may be left out since there is StreamARN", `Value null at 'streamName'`, ``},
	{"ShardCount may be left out since there are on-demand streams", `Value null at 'shardCount'`, ``},
	{"bounds have grown", `Member must have (value|length) less than or equal to (10|168|100000|1048576)\b`, ``},
	{"values that are bytes or structures are not shown any more", `HeapByteBuffer|PutRecordsRequestEntry@|Value '\[\]' at 'records'`, ``},
	{"kinesalite anchors one half of a pattern", ``, `satisfy regular expression pattern: 0\|\(\[1-9\]`},
}

// compare asks both. A difference that is not expected is an error.
func (p *pair) compare(name string, c question) {
	p.Helper()
	p.compared++
	theirs, ours := p.ask(p.theirs, c), p.ask(p.ours, c)
	if theirs == ours {
		return
	}
	for _, e := range expected {
		if regexp.MustCompile(e.theirs).MatchString(theirs.body) && regexp.MustCompile(e.ours).MatchString(ours.body) {
			p.differences[e.why]++
			return
		}
	}
	kind := fmt.Sprintf("unexpected: %s, %d and %d", name, theirs.status, ours.status)
	if p.differences[kind]++; p.differences[kind] <= 5 {
		p.Errorf(
			"%s, %s %q %v %.300q\nkinesalite: %.600s\nours:       %.600s", name, c.method, c.query, c.header, c.body,
			fmt.Sprint(theirs), fmt.Sprint(ours),
		)
	}
}

const authorized = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, " +
	"SignedHeaders=host, Signature=00"

func asked(operation, contentType string, body []byte) question {
	return question{"POST", "", map[string]string{
		"X-Amz-Target": "Kinesis_20131202." + operation, "Content-Type": contentType,
		"Authorization": authorized, "X-Amz-Date": "20260101T000000Z",
	}, body}
}

// Answers are those of kinesalite, but for what AWS has changed since: checks before an operation, in every combination
// of method, content type, target, body and authentication; and for each parameter values of a wrong type, and values
// beyond its constraints, in JSON and CBOR.
func TestAnswersAreThoseOfKinesalite(t *testing.T) {
	t.Parallel()
	if !*withKinesalite {
		t.Skip("a tool, for make kinesalite")
	}
	p := newPair(t)
	p.connections()
	p.parameters()
	p.Logf("%d requests compared; differences: %v", p.compared, p.differences)
}

func (p *pair) connections() {
	for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
		for _, contentType := range []string{
			"", "text/plain", "application/json", "application/x-amz-json-1.1", "application/x-amz-cbor-1.1",
			" application/x-amz-json-1.1 ; charset=utf-8", "application/x-amz-json-1.0",
		} {
			for _, target := range []string{
				"", "Kinesis_20131202", "Kinesis_20131202.", ".ListStreams", "Kinesis_20131202.ListStreams",
				"Kinesis_20131202.Nope", "Nope_20131202.ListStreams",
			} {
				for _, body := range []string{"", "{", "{}", "hello", "\"hi\"", "\xa0", "\xbf\xff", "\xa1"} {
					for _, auth := range []map[string]string{
						nil,
						{"Authorization": authorized, "X-Amz-Date": "20260101T000000Z"},
						{"Authorization": "X"},
						{"Authorization": "AWS4- Signature=b,Credential=a", "Date": "x"},
						{"Authorization": "X", "query": "X-Amz-Algorithm=y"},
						{"query": "X-Amz-Algorithm=y"},
						{"query": "X-Amz-Algorithm=y&X-Amz-Credential=a&X-Amz-Date=b"},
					} {
						c := question{method, "", map[string]string{}, []byte(body)}
						for name, value := range auth {
							if name == "query" {
								c.query = "?" + value
							} else {
								c.header[name] = value
							}
						}
						if contentType != "" {
							c.header["Content-Type"] = contentType
						}
						if target != "" {
							c.header["X-Amz-Target"] = target
						}
						p.compare("a connection", c)
					}
				}
			}
		}
	}
}

// validBodies is a body for each operation that passes its checks, for streams that are not there.
var validBodies = map[string]string{
	"AddTagsToStream":               `{"StreamName":"absent","Tags":{"a":"b"}}`,
	"CreateStream":                  `{"StreamName":"","ShardCount":0}`, // so that none is made
	"DecreaseStreamRetentionPeriod": `{"StreamName":"absent","RetentionPeriodHours":24}`,
	"DeleteStream":                  `{"StreamName":"absent"}`,
	"DescribeStream":                `{"StreamName":"absent"}`,
	"DescribeStreamSummary":         `{"StreamName":"absent"}`,
	"GetRecords":                    `{"ShardIterator":"AAAA"}`,
	"GetShardIterator":              `{"StreamName":"absent","ShardId":"shardId-000000000000","ShardIteratorType":"LATEST"}`,
	"IncreaseStreamRetentionPeriod": `{"StreamName":"absent","RetentionPeriodHours":48}`,
	"ListShards":                    `{"StreamName":"absent"}`,
	"ListStreams":                   `{}`,
	"ListTagsForStream":             `{"StreamName":"absent"}`,
	"MergeShards":                   `{"StreamName":"absent","ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000001"}`,
	"PutRecord":                     `{"StreamName":"absent","Data":"AAAA","PartitionKey":"a"}`,
	"PutRecords":                    `{"StreamName":"absent","Records":[{"Data":"AAAA","PartitionKey":"a"}]}`,
	"RemoveTagsFromStream":          `{"StreamName":"absent","TagKeys":["a"]}`,
	"SplitShard":                    `{"StreamName":"absent","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"2"}`,
}

// triedValues are tried for every parameter, whatever its type. Null in a list of texts ends kinesalite.
var triedValues = []any{
	true, false, 34, -1, 0, 1.7, 10001, 1e11, "", "23456", "=+/=", "+/+=", "abc;", "shardId-000000000000", "0", "01",
	strings.Repeat("a", 129), strings.Repeat("\u00e9", 257), strings.Repeat("1", 130), []any{}, []any{"a"}, []any{1},
	[]any{map[string]any{}}, map[string]any{}, map[string]any{"a": "b"}, map[string]any{"a": 1},
	map[string]any{"": strings.Repeat("x", 257)}, nil,
}

func (p *pair) parameters() {
	for _, operation := range slices.Sorted(maps.Keys(validBodies)) {
		if p.types[operation] == nil {
			p.Errorf("kinesalite does not have %s", operation)
		}
		p.vary(operation, p.types[operation], func(change func(map[string]any)) {
			for _, base := range []string{validBodies[operation], `{"StreamName":"absent"}`} {
				if operation == "CreateStream" && base != validBodies[operation] {
					continue
				}
				var body map[string]any
				if err := json.Unmarshal([]byte(base), &body); err != nil {
					p.Fatal(err)
				}
				change(body)
				inJSON, err := json.Marshal(body)
				if err != nil {
					p.Fatal(err)
				}
				p.compare(operation, asked(operation, "application/x-amz-json-1.1", inJSON))
				inCBOR, err := cbor.Marshal(body)
				if err != nil {
					p.Fatal(err)
				}
				p.compare(operation, asked(operation, "application/x-amz-cbor-1.1", inCBOR))
			}
		})
	}
}

// vary tries values for each parameter, and for those within a list of structures.
func (p *pair) vary(operation string, types map[string]parameter, try func(func(map[string]any))) {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		for _, v := range triedValues {
			try(func(body map[string]any) { body[name] = v })
		}
		var of parameter
		if types[name].Type != "List" || json.Unmarshal(types[name].Children, &of) != nil || of.Type != "Structure" {
			continue
		}
		var within map[string]parameter
		if err := json.Unmarshal(of.Children, &within); err != nil {
			p.Fatal(err)
		}
		p.vary(operation, within, func(change func(map[string]any)) {
			try(func(body map[string]any) {
				element := map[string]any{"Data": "AAAA", "PartitionKey": "a"}
				change(element)
				body[name] = []any{element}
			})
		})
	}
}
