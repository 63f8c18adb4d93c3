package e2e_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

// topics is what each client sees of one message: the envelope in one queue, the message itself in the other, and the
// refusal of a topic that it has deleted.
type topics struct {
	Wrapped envelope `json:"wrapped"`
	Raw     string   `json:"raw"`
	Colour  string   `json:"colour"` // an attribute of the raw message
	Gone    string   `json:"gone"`
}

type envelope struct {
	Type, TopicArn, Subject, Message string
	MessageAttributes                map[string]struct{ Type, Value string }
}

// The SDKs for Go and JavaScript make a topic, subscribe one queue as it is and one raw, publish, and read the message
// from both.
func TestTopicsWithTheSDKsOfGoAndJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for client, use := range map[string]func(t *testing.T, s *server, name string) topics{
		"go": topicsOfGo, "javascript": topicsOfJavaScript,
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			want := topics{
				Wrapped: envelope{
					Type: "Notification", TopicArn: "arn:aws:sns:" + region + ":" + account + ":" + client,
					Subject: "hello", Message: `{"größe": 1}`,
					MessageAttributes: map[string]struct{ Type, Value string }{"colour": {"String", "blue"}},
				},
				Raw: `{"größe": 1}`, Colour: "blue", Gone: "Topic does not exist",
			}
			if diff := cmp.Diff(want, use(t, s, client)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func topicsOfJavaScript(t *testing.T, s *server, name string) (saw topics) {
	t.Helper()
	stdout, stderr, err := s.command(t, "node", absolute(t, "javascript/topics.mjs"), name)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &saw); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return saw
}

func topicsOfGo(t *testing.T, s *server, name string) (saw topics) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := s.clients()
	topic, err := c.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name})
	must(err)
	queues := map[string]string{}
	for raw, queue := range map[string]string{"true": name + "-raw", "false": name + "-wrapped"} {
		queues[raw] = c.createQueue(t, queue, nil)
		_, err := c.sns.Subscribe(t.Context(), &sns.SubscribeInput{
			TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String(queueARN(queue)),
			Attributes: map[string]string{"RawMessageDelivery": raw},
		})
		must(err)
	}
	_, err = c.sns.Publish(t.Context(), &sns.PublishInput{
		TopicArn: topic.TopicArn, Subject: aws.String("hello"), Message: aws.String(`{"größe": 1}`),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"colour": {DataType: aws.String("String"), StringValue: aws.String("blue")},
		},
	})
	must(err)
	for raw, url := range queues {
		got, err := c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, WaitTimeSeconds: 20, MessageAttributeNames: []string{"All"},
		})
		must(err)
		for _, m := range got.Messages {
			if raw == "false" {
				must(json.Unmarshal([]byte(*m.Body), &saw.Wrapped))
				continue
			}
			saw.Raw, saw.Colour = *m.Body, aws.ToString(m.MessageAttributes["colour"].StringValue)
		}
	}
	_, err = c.sns.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: topic.TopicArn})
	must(err)
	_, err = c.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("too late")})
	if gone := (*snstypes.NotFoundException)(nil); errors.As(err, &gone) {
		saw.Gone = gone.ErrorMessage()
	}
	return saw
}
