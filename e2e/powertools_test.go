package e2e_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/shardmill/shardmill/internal/eventually"
)

// zipOf packs files of testdata.
func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	return zipped(t, files)
}

// withPackages adds what pip has installed into dir, a directory of site-packages, to the files of a code package:
// whole packages, and modules by their files. take, unless it is nil, says which files of a package are wanted.
func withPackages(
	t *testing.T, files map[string][]byte, dir string, take func(name string) bool, names ...string,
) map[string][]byte {
	t.Helper()
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) == ".pyc" {
				return err
			}
			inside, err := filepath.Rel(dir, path)
			if err != nil || take != nil && !take(filepath.ToSlash(inside)) {
				return err
			}
			files[filepath.ToSlash(inside)], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// sitePackages returns where the virtual environment keeps what is installed in it.
func sitePackages(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(
		filepath.Dir(filepath.Dir(venv(t, "python3"))), "lib", "python3.*", "site-packages",
	))
	if err != nil || len(found) != 1 {
		t.Fatalf("site-packages of the virtual environment: %q, %v", found, err)
	}
	return found[0]
}

// metricLine is a document of the embedded metric format. Source: CloudWatch User Guide, "Embedded metric format
// specification".
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

// Powertools for AWS Lambda does here what it does on AWS: its BatchProcessor reports the records that failed, they
// alone end up in the queue, and its metrics and structured lines are in the function's log, one document a line.
func TestPowertoolsBatchAndMetrics(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	queue := c.createQueue(t, "failures", nil)
	c.createPowertoolsFunction(t, nil)
	entries := make([]entry, 12)
	for i := range entries {
		entries[i] = entry{"customer", fmt.Sprintf(`{"id":%d}`, i)}
	}
	entries[4].data, entries[9].data = "poison", `{"no":"id"}`
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(12), MaximumRetryAttempts: aws.Int32(0), BisectBatchOnFunctionError: aws.Bool(true),
		DestinationConfig: onFailure("failures"),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{
			lambdatypes.FunctionResponseTypeReportBatchItemFailures,
		},
	})

	var notices []notice
	eventually.Reaches(t, "both bad records in the queue", func() (bool, string) {
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
	counted := checkPowertoolsLog(t, s.logUntil(t, "orders", `"order":11`))
	s.eventuallyCounts(t, func(taken float64) bool { return taken >= counted })
}

// eventuallyCounts waits until the metric OrdersTaken, made of what the function prints, adds up to enough.
func (s *server) eventuallyCounts(t *testing.T, enough func(float64) bool) {
	t.Helper()
	metrics := cloudwatch.New(cloudwatch.Options{
		Region: region, BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", ""), RetryMaxAttempts: 1,
	})
	eventually.Reaches(t, "the metric OrdersTaken", func() (bool, string) {
		out, err := metrics.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("Shop"), MetricName: aws.String("OrdersTaken"),
			Dimensions: []cloudwatchtypes.Dimension{{Name: aws.String("service"), Value: aws.String("orders")}},
			StartTime:  aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Minute)),
			Period:     aws.Int32(3600),
			Statistics: []cloudwatchtypes.Statistic{cloudwatchtypes.StatisticSum},
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, p := range out.Datapoints {
			sum += *p.Sum
		}
		return enough(sum), fmt.Sprint(sum)
	})
}

// createPowertoolsFunction makes the function orders of testdata/powertools.py.
func (c clients) createPowertoolsFunction(t *testing.T, variables map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "powertools.py"))
	if err != nil {
		t.Fatal(err)
	}
	files := withPackages(
		t, map[string][]byte{"powertools.py": text}, sitePackages(t), nil, "aws_lambda_powertools",
		"typing_extensions.py",
	)
	_, err = c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), Runtime: lambdatypes.RuntimePython312,
		Handler: aws.String("powertools.handler"), Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: zipped(t, files)}, Timeout: aws.Int32(60), MemorySize: aws.Int32(256),
		Environment: &lambdatypes.Environment{Variables: variables},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// logUntil returns the log of a function as soon as it holds text.
func (s *server) logUntil(t *testing.T, function, text string) (log string) {
	t.Helper()
	eventually.Reaches(t, text+" in the log", func() (bool, string) {
		var stderr string
		var err error
		if log, stderr, err = s.command(t, shardmill(t), "logs", function); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		return strings.Contains(log, text), tail(log)
	})
	return log
}

// Idempotency of Powertools over a table: orders that come again, because they were sent twice or because their batch
// was, are taken once. An order that failed is taken with every attempt.
func TestPowertoolsIdempotency(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	c := s.clients()
	tables := dynamodb.New(dynamodb.Options{
		Region: region, BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", ""), RetryMaxAttempts: 1,
	})
	_, err := tables.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("done"), BillingMode: dynamodbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamodbtypes.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: dynamodbtypes.ScalarAttributeTypeS},
		},
		KeySchema: []dynamodbtypes.KeySchemaElement{
			{AttributeName: aws.String("id"), KeyType: dynamodbtypes.KeyTypeHash},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.createStream(t, "orders", 1)
	queue := c.createQueue(t, "failures", nil)
	c.createPowertoolsFunction(t, map[string]string{"IDEMPOTENCY_TABLE": "done"})
	var entries []entry
	for _, data := range []string{
		`{"id":0}`, `{"id":1}`, `{"id":1}`, `{"id":2,"fails":true}`, `{"id":3}`, `{"id":0}`, `{"id":4}`,
	} {
		entries = append(entries, entry{"customer", data})
	}
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(7), MaximumRetryAttempts: aws.Int32(1), DestinationConfig: onFailure("failures"),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{
			lambdatypes.FunctionResponseTypeReportBatchItemFailures,
		},
	})

	var notices []notice
	eventually.Reaches(t, "the batch given up", func() (bool, string) {
		for _, m := range c.receive(t, queue, 1) {
			notices = append(notices, parseNotice(t, *m.Body))
		}
		return len(notices) > 0, "no message"
	})
	// From the first failure on everything comes again, as a batch of four with attempts of its own.
	if n := notices[0]; n.KinesisBatchInfo.BatchSize != 4 || n.RequestContext.ApproximateInvokeCount != 2 {
		t.Errorf("notice %+v, want four records and two invocations", n)
	}
	taken := map[int]int{}
	for line := range strings.Lines(s.logUntil(t, "orders", `"order":4`)) {
		if _, text, ok := strings.Cut(line, "{"); ok {
			var l structuredLine
			if json.Unmarshal([]byte("{"+text), &l) == nil && l.Order != nil {
				taken[*l.Order]++
			}
		}
	}
	if want := map[int]int{0: 1, 1: 1, 2: 3, 3: 1, 4: 1}; !maps.Equal(taken, want) {
		t.Errorf("taken, by order: %v, want %v", taken, want)
	}
	scan, err := tables.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("done")})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range scan.Items {
		if status, ok := item["status"].(*dynamodbtypes.AttributeValueMemberS); !ok || status.Value != "COMPLETED" {
			t.Errorf("item %v, want it completed", item)
		}
	}
	if len(scan.Items) != 4 {
		t.Errorf("the table holds %d items, want those of the four orders that worked", len(scan.Items))
	}
}

// checkPowertoolsLog reads the JSON documents in a function's log, and returns how many orders its metrics count.
func checkPowertoolsLog(t *testing.T, log string) (counted float64) {
	t.Helper()
	taken, cold := map[int]bool{}, 0
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(line, "{")
		if !ok {
			continue
		}
		text = "{" + text
		if strings.HasPrefix(text, `{"_aws"`) {
			var m metricLine
			if err := json.Unmarshal([]byte(text), &m); err != nil || len(m.AWS.CloudWatchMetrics) != 1 ||
				m.AWS.CloudWatchMetrics[0].Namespace != "Shop" || m.AWS.Timestamp == 0 || m.Service != "orders" {
				t.Fatalf("metric line %s: %v", text, err)
			}
			for _, v := range m.OrdersTaken {
				counted += v
			}
			if len(m.ColdStart) > 0 {
				cold++
				if m.FunctionName != "orders" ||
					!slices.Contains(m.AWS.CloudWatchMetrics[0].Dimensions[0], "function_name") {
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
		if l.FunctionName != "orders" || l.FunctionMemory != "256" || l.RequestID == "" ||
			l.FunctionARN != "arn:aws:lambda:us-east-1:000000000000:function:orders" {
			t.Errorf("structured line %s", text)
		}
	}
	if len(taken) != 10 || taken[4] || taken[9] {
		t.Errorf("orders taken: %v, want all but 4 and 9", taken)
	}
	if counted < 10 || cold != 1 {
		t.Errorf("the metrics count %v orders and %d cold starts, want at least 10 and one", counted, cold)
	}
	return counted
}
