package e2e_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// zipOf packs files of testdata.
func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// metricLine is a document of the embedded metric format. Source: CloudWatch User Guide, "Embedded metric format specification".
type metricLine struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
	Service      string    `json:"service"`
	FunctionName string    `json:"function_name"`
	OrdersTaken  []float64 `json:"OrdersTaken"`
	ColdStart    []float64 `json:"ColdStart"`
}

// structuredLine is what the Logger of Powertools writes.
type structuredLine struct {
	Level, Message, Service string
	Order                   *int
	FunctionName            string `json:"function_name"`
	FunctionMemory          string `json:"function_memory_size"`
	FunctionARN             string `json:"function_arn"`
	RequestID               string `json:"function_request_id"`
}

// Powertools for AWS Lambda does here what it does on AWS: its BatchProcessor reports the records that failed, they alone end up in the queue, and its metrics and
// structured lines are in the function's log, one document a line.
func TestPowertoolsBatchAndMetrics(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	queue := c.createQueue(t, "failures", nil)
	_, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), Runtime: lambdatypes.RuntimePython312, Handler: aws.String("powertools.handler"), Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: zipOf(t, "powertools.py")}, Timeout: aws.Int32(60), MemorySize: aws.Int32(256),
		Environment: &lambdatypes.Environment{Variables: map[string]string{"POWERTOOLS_LOG_LEVEL": "INFO"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]entry, 12)
	for i := range entries {
		entries[i] = entry{"customer", fmt.Sprintf(`{"id":%d}`, i)}
	}
	entries[4].data, entries[9].data = "poison", `{"no":"id"}`
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(12), MaximumRetryAttempts: aws.Int32(0), BisectBatchOnFunctionError: aws.Bool(true), DestinationConfig: onFailure("failures"),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures},
	})

	var notices []notice
	eventually(t, "both bad records in the queue", func() (bool, string) {
		for _, m := range c.receive(t, queue, 1) {
			notices = append(notices, parseNotice(t, *m.Body))
		}
		return len(notices) >= 2, fmt.Sprint(len(notices), " messages")
	})
	for _, n := range notices {
		if n.KinesisBatchInfo.BatchSize != 1 || n.RequestContext.Condition != "RetryAttemptsExhausted" {
			t.Errorf("notice %+v, want one about a single record", n)
		}
	}
	var out string
	eventually(t, "the last order taken", func() (bool, string) {
		var stderr string
		var err error
		if out, stderr, err = s.command(t, shardmill(t), "logs", "orders"); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		return strings.Contains(out, `"order":11`), tail(out)
	})
	checkPowertoolsLog(t, out)
}

// checkPowertoolsLog reads the JSON documents in a function's log.
func checkPowertoolsLog(t *testing.T, log string) {
	t.Helper()
	taken, counted, cold := map[int]bool{}, 0.0, 0
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(line, "{")
		if !ok {
			continue
		}
		text = "{" + text
		if strings.HasPrefix(text, `{"_aws"`) {
			var m metricLine
			if err := json.Unmarshal([]byte(text), &m); err != nil || len(m.AWS.CloudWatchMetrics) != 1 || m.AWS.CloudWatchMetrics[0].Namespace != "Shop" || m.AWS.Timestamp == 0 || m.Service != "orders" {
				t.Fatalf("metric line %s: %v", text, err)
			}
			for _, v := range m.OrdersTaken {
				counted += v
			}
			if len(m.ColdStart) > 0 {
				cold++
				if m.FunctionName != "orders" || !slices.Contains(m.AWS.CloudWatchMetrics[0].Dimensions[0], "function_name") {
					t.Errorf("cold start metric %s", text)
				}
			}
			continue
		}
		var l structuredLine
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Order == nil {
			continue
		}
		taken[*l.Order] = true
		if l.FunctionName != "orders" || l.FunctionMemory != "256" || l.RequestID == "" || l.FunctionARN != "arn:aws:lambda:us-east-1:000000000000:function:orders" {
			t.Errorf("structured line %s", text)
		}
	}
	if len(taken) != 10 || taken[4] || taken[9] {
		t.Errorf("orders taken: %v, want all but 4 and 9", taken)
	}
	if counted < 10 || cold != 1 {
		t.Errorf("the metrics count %v orders and %d cold starts, want at least 10 and one", counted, cold)
	}
}
