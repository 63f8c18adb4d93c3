package e2e_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

const (
	region  = "us-east-1"
	account = "000000000000"
	role    = "arn:aws:iam::000000000000:role/any"
)

func streamARN(name string) string {
	return "arn:aws:kinesis:" + region + ":" + account + ":stream/" + name
}
func queueARN(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + name }

// clients are those of the AWS SDK for Go, pointed at a server.
type clients struct {
	kinesis *kinesis.Client
	lambda  *lambda.Client
	sns     *sns.Client
	sqs     *sqs.Client
}

func (s *server) clients() clients {
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", ""),
		HTTPClient: &http.Client{
			Timeout: patience, Transport: wiretest.WholeBodies{Next: &http.Transport{MaxIdleConnsPerHost: 64}},
		},
		RetryMaxAttempts: 1,
	}
	return clients{
		kinesis.NewFromConfig(cfg), lambda.NewFromConfig(cfg), sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg),
	}
}

func (c clients) createStream(t *testing.T, name string, shards int32) {
	t.Helper()
	if _, err := c.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: &name, ShardCount: &shards,
	}); err != nil {
		t.Fatal(err)
	}
}

// createQueue returns the queue's URL.
func (c clients) createQueue(t *testing.T, name string, attributes map[string]string) string {
	t.Helper()
	out, err := c.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// createFunction makes a function from the binary that testdata/handler builds: it asks the ledger at that address what
// to do about every event.
func (c clients) createFunction(t *testing.T, name, ledger string) {
	t.Helper()
	_, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: handlerZip(t)}, Timeout: aws.Int32(120),
		Environment: &lambdatypes.Environment{Variables: map[string]string{"LEDGER": ledger}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// createMapping returns the mapping's UUID. Source and function are streamARN(name) and name.
func (c clients) createMapping(t *testing.T, name string, in lambda.CreateEventSourceMappingInput) string {
	t.Helper()
	in.EventSourceArn, in.FunctionName = aws.String(streamARN(name)), &name
	if in.StartingPosition == "" {
		in.StartingPosition = lambdatypes.EventSourcePositionTrimHorizon
	}
	out, err := c.lambda.CreateEventSourceMapping(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.UUID
}

func onFailure(queue string) *lambdatypes.DestinationConfig {
	return &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: aws.String(queueARN(queue))}}
}

// put puts one record and returns its sequence number.
func (c clients) put(t *testing.T, stream, key, data string) string {
	t.Helper()
	out, err := c.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{
		StreamName: &stream, PartitionKey: &key, Data: []byte(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.SequenceNumber
}

// entry is a record to put.
type entry struct{ key, data string }

// putAll puts records in requests of 500.
func (c clients) putAll(t *testing.T, stream string, entries []entry) {
	t.Helper()
	for len(entries) > 0 {
		n := min(500, len(entries))
		in := &kinesis.PutRecordsInput{StreamName: &stream}
		for _, e := range entries[:n] {
			in.Records = append(in.Records, kinesistypes.PutRecordsRequestEntry{
				PartitionKey: aws.String(e.key), Data: []byte(e.data),
			})
		}
		out, err := c.kinesis.PutRecords(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if *out.FailedRecordCount != 0 {
			t.Fatalf("%d of %d records were refused", *out.FailedRecordCount, n)
		}
		entries = entries[n:]
	}
}

// receive returns up to ten messages, waiting up to 20 s for the first.
func (c clients) receive(t *testing.T, url string, wait int32) []sqstypes.Message {
	t.Helper()
	out, err := c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

// handlerZip returns the code of the function that asks the ledger.
func handlerZip(t *testing.T) []byte {
	t.Helper()
	code, err := os.ReadFile(build(t, "bootstrap", "./testdata/handler"))
	if err != nil {
		t.Fatal(err)
	}
	return zipped(t, map[string][]byte{"bootstrap": code})
}
