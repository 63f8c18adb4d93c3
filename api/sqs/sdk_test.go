package sqs

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/shardmill/shardmill/api/wire"
)

// newClient returns a client of AWS's SDK for Go for the service behind the shared port. requests counts what it sends.
func newClient(t *testing.T) (c *client.Client, requests *int) {
	t.Helper()
	requests = new(int)
	router := &wire.Router{Services: []wire.Service{Service(newHandler(t))}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++ // the tests send one request at a time, except where they do not look at it
		router.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return client.New(client.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("111122223333", "secret", ""),
	}), requests
}

// The SDK verifies the check sums of bodies and attributes itself.
func TestSDKSendsReceivesAndDeletes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, _ := newClient(t)
	made, err := c.CreateQueue(ctx, &client.CreateQueueInput{
		QueueName: aws.String("orders"), Attributes: map[string]string{"VisibilityTimeout": "60"},
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.GetQueueUrl(ctx, &client.GetQueueUrlInput{QueueName: aws.String("orders")})
	if err != nil || *found.QueueUrl != *made.QueueUrl {
		t.Fatalf("url %v, made %v: %v", found, *made.QueueUrl, err)
	}
	sent, err := c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String(
		"Test 😀",
	), MessageAttributes: map[string]types.MessageAttributeValue{
		"n": {DataType: aws.String("Number.int"), StringValue: aws.String("12")},
		"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
	}})
	if err != nil {
		t.Fatal(err)
	}

	got, err := c.ReceiveMessage(ctx, &client.ReceiveMessageInput{
		QueueUrl: made.QueueUrl, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("received %v: %v", got, err)
	}
	m := got.Messages[0]
	if *m.MessageId != *sent.MessageId || *m.Body != "Test 😀" ||
		string(m.MessageAttributes["b"].BinaryValue) != "\x00\xff" || *m.MessageAttributes["n"].StringValue != "12" ||
		len(m.Attributes) != 4 || m.Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("received %+v", m)
	}

	if _, err := c.DeleteMessage(ctx, &client.DeleteMessageInput{
		QueueUrl: made.QueueUrl, ReceiptHandle: m.ReceiptHandle,
	}); err != nil {
		t.Fatal(err)
	}
	all, err := c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"},
	})
	if err != nil || all.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" ||
		all.Attributes["QueueArn"] != "arn:aws:sqs:eu-central-1:111122223333:orders" {
		t.Errorf("attributes %v: %v", all, err)
	}
	if _, err := c.PurgeQueue(ctx, &client.PurgeQueueInput{QueueUrl: made.QueueUrl}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteQueue(ctx, &client.DeleteQueueInput{QueueUrl: made.QueueUrl}); err != nil {
		t.Error(err)
	}
	list, err := c.ListQueues(ctx, &client.ListQueuesInput{})
	if err != nil || len(list.QueueUrls) != 0 {
		t.Errorf("list %v: %v", list, err)
	}
}

func TestSDKTagsQueues(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, _ := newClient(t)
	made, err := c.CreateQueue(ctx, &client.CreateQueueInput{
		QueueName: aws.String("orders"), Tags: map[string]string{"team": "orders", "cost": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, tagErr := c.TagQueue(ctx, &client.TagQueueInput{
		QueueUrl: made.QueueUrl, Tags: map[string]string{"cost": "8", "größe": ""},
	})
	_, untagErr := c.UntagQueue(ctx, &client.UntagQueueInput{QueueUrl: made.QueueUrl, TagKeys: []string{"team"}})
	got, err := c.ListQueueTags(ctx, &client.ListQueueTagsInput{QueueUrl: made.QueueUrl})

	want := map[string]string{"cost": "8", "größe": ""}
	if err := errors.Join(tagErr, untagErr, err); err != nil || !maps.Equal(got.Tags, want) {
		t.Errorf("tags %v, want %v: %v", got, want, err)
	}
}

// F-73, as an SDK reports it.
func TestSDKUnderstandsFaults(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t)
	_, err := c.ReceiveMessage(t.Context(), &client.ReceiveMessageInput{
		QueueUrl: aws.String("http://localhost/111122223333/none"),
	})
	var none *types.QueueDoesNotExist
	if !errors.As(err, &none) || none.ErrorMessage() != "The specified queue does not exist." ||
		none.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("got %v", err)
	}
}

// F-79's rule for this service: SDKs do not retry what is not implemented.
func TestSDKDoesNotRetryWhatIsNotImplemented(t *testing.T) {
	t.Parallel()
	c, requests := newClient(t)
	_, err := c.ListDeadLetterSourceQueues(t.Context(), &client.ListDeadLetterSourceQueuesInput{
		QueueUrl: aws.String("http://localhost/111122223333/none"),
	})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "NotImplementedException" || *requests != 1 {
		t.Errorf("after %d requests: %v", *requests, err)
	}
}

// F-75 through a real connection: the poll that waits is answered by the send, not by its own time.
func TestSDKLongPollIsAnsweredByASend(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	qs := newHandler(t)
	arrived := make(chan struct{}, 1)
	router := &wire.Router{Services: []wire.Service{Service(qs)}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.ReceiveMessage" {
			arrived <- struct{}{}
		}
		router.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := client.New(client.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("111122223333", "secret", ""),
	})
	made, err := c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		<-arrived
		_, err := c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("a")})
		sent <- err
	}()
	got, err := c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
	if err := errors.Join(err, <-sent); err != nil || len(got.Messages) != 1 {
		t.Fatalf("received %v: %v", got, err)
	}
	if took := time.Since(start); took > 10*time.Second { // far below the wait, far above any load of the machine
		t.Errorf("took %v", took)
	}
}
