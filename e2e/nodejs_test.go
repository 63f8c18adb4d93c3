package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/shardmill/shardmill/internal/eventually"
)

// A Node.js function behind a mapping: it reports its poison record, which alone ends up in the queue, and everything
// else is processed.
func TestANodeFunctionBehindAMapping(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev")
	c := s.clients()
	c.createStream(t, "orders", 1)
	queue := c.createQueue(t, "failures", nil)
	_, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), Runtime: lambdatypes.RuntimeNodejs22x,
		Handler: aws.String("orders.handler"), Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: zipOf(t, "orders.mjs")}, Timeout: aws.Int32(60),
	})
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]entry, 10)
	for i := range entries {
		entries[i] = entry{"customer", fmt.Sprintf(`{"id":%d}`, i)}
	}
	entries[6].data = "poison"
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(10), MaximumRetryAttempts: aws.Int32(0), BisectBatchOnFunctionError: aws.Bool(true),
		DestinationConfig: onFailure("failures"),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{
			lambdatypes.FunctionResponseTypeReportBatchItemFailures,
		},
	})

	var body string
	eventually.Reaches(t, "the poison record in the queue", func() (bool, string) {
		for _, m := range c.receive(t, queue, 1) {
			body = *m.Body
		}
		return body != "", "no message"
	})
	if n := parseNotice(t, body); n.KinesisBatchInfo.BatchSize != 1 ||
		n.RequestContext.FunctionARN != "arn:aws:lambda:us-east-1:000000000000:function:orders" {
		t.Errorf("notice %s", body)
	}
	eventually.Reaches(t, "the last order", func() (bool, string) {
		out, stderr, err := s.command(t, shardmill(t), "logs", "orders")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		for i := range entries {
			if i != 6 && !strings.Contains(out, fmt.Sprintf("\tINFO\torder %d", i)) {
				return false, tail(out)
			}
		}
		return strings.Contains(out, "\tERROR\tcannot process"), tail(out)
	})
	// Bisecting sends some records more than once, and they are counted as often as they are taken.
	s.eventuallyCounts(t, func(taken float64) bool { return taken >= 9 })
}

// A function that answers and whose process ends in the same turn has answered: of twenty batches with one record each
// and no retries, none is given up, and each is invoked once, in an environment of its own.
func TestABatchAnsweredByADyingProcessSucceeds(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	c := s.clients()
	c.createStream(t, "orders", 1)
	queue := c.createQueue(t, "failures", nil)
	if _, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), Runtime: lambdatypes.RuntimeNodejs22x,
		Handler: aws.String("forgetful.handler"), Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: zipOf(t, "forgetful.mjs")}, Timeout: aws.Int32(60),
	}); err != nil {
		t.Fatal(err)
	}
	entries := make([]entry, 20)
	for i := range entries {
		entries[i] = entry{fmt.Sprintf("key-%d.", i), "x"}
	}
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(1), MaximumRetryAttempts: aws.Int32(0), DestinationConfig: onFailure("failures"),
	})

	eventually.Reaches(t, "the last order", func() (bool, string) {
		out, stderr, err := s.command(t, shardmill(t), "logs", "orders")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		for i := range entries {
			if n := strings.Count(out, fmt.Sprintf("seen key-%d. 0", i)); n != 1 {
				return false, fmt.Sprintf("order %d was seen %d times: %s", i, n, tail(out))
			}
		}
		return strings.Count(out, "REPORT RequestId") == len(entries), tail(out)
	})
	if messages := c.receive(t, queue, 1); len(messages) > 0 {
		t.Errorf("given up: %s", *messages[0].Body)
	}
}
