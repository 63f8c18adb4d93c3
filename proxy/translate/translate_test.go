package translate

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// here and there are the two sides of the tests.
var (
	here  = Side{"000000000000", "us-east-1", "http://127.0.0.1:4566"}
	there = Side{"111122223333", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com"}
	out   = Names{here, there}
)

func TestTextNamesTheOtherSide(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"arn:aws:sqs:us-east-1:000000000000:q": "arn:aws:sqs:eu-west-1:111122223333:q",
		"arn:aws:sqs:us-east-1:123456789:q":    "arn:aws:sqs:eu-west-1:111122223333:q", // folds to the caller's
		"arn:aws:sqs:us-east-1:999999999999:q": "arn:aws:sqs:us-east-1:999999999999:q", // another account's
		"arn:aws:sqs:eu-west-2:000000000000:q": "arn:aws:sqs:eu-west-2:000000000000:q", // another region's
		"arn:aws:iam::000000000000:role/r":     "arn:aws:iam::111122223333:role/r",
		"arn:aws:s3:::bucket":                  "arn:aws:s3:::bucket",
		"barn:aws:sqs:us-east-1:000000000000:": "barn:aws:sqs:us-east-1:000000000000:",
		"arn:":                                 "arn:",
		"":                                     "",
		`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","x":"arn:aws:sns:us-east-1:000000000000:t"}`: `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111122223333:d","x":"arn:aws:sns:eu-west-1:111122223333:t"}`,
	} {
		got := out.Text(in)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if back := out.Back().Text(got); back != in && !strings.Contains(in, ":123456789:") {
			t.Errorf("%s comes back as %s", in, back)
		}
	}
	china := Names{here, Side{"111122223333", "cn-north-1", ""}}
	if got := china.Text("arn:aws:sqs:us-east-1:000000000000:q"); got != "arn:aws-cn:sqs:cn-north-1:111122223333:q" {
		t.Errorf("in another partition: %s", got)
	}
}

func TestQueueURLsNameTheOtherSide(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://127.0.0.1:4566/000000000000/q":            "https://sqs.eu-west-1.amazonaws.com/111122223333/q",
		"http://localhost:1/000000000000/q":               "https://sqs.eu-west-1.amazonaws.com/111122223333/q", // any host
		"http://localhost:1/999999999999/q":               "https://sqs.eu-west-1.amazonaws.com/999999999999/q",
		"https://sqs.eu-west-1.amazonaws.com/1111/2222/q": "https://sqs.eu-west-1.amazonaws.com/1111/2222/q",
		"q": "q",
	} {
		if got := out.QueueURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// In every protocol the names change, and the payload beside them stays, even where it looks like a name.
func TestOnlyNamesChange(t *testing.T) {
	t.Parallel()
	const (
		q, qThere = "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sqs:eu-west-1:111122223333:q"
		u, uThere = "http://127.0.0.1:4566/000000000000/q", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
	)
	jsonOf := func(s *Service) func(string) string {
		return func(b string) string { return string(s.RequestJSON(out, []byte(b))) }
	}
	answerOf := func(s *Service) func(string) string {
		return func(b string) string { return string(s.AnswerJSON(out, []byte(b))) }
	}
	formOf := func(s *Service) func(string) string { return func(b string) string { return s.Form(out, b) } }
	xmlOf := func(s *Service) func(string) string {
		return func(b string) string { return string(s.AnswerXML(out, []byte(b))) }
	}
	for name, c := range map[string]struct {
		by       func(string) string
		in, want string
	}{
		"a message": {
			jsonOf(SQS), ` {"QueueUrl" : "` + u + `", "MessageBody":"` + q + `","MessageAttributes":{"QueueUrl":{"StringValue":"` + u + `"}}}`,
			` {"QueueUrl" : "` + uThere + `", "MessageBody":"` + q + `","MessageAttributes":{"QueueUrl":{"StringValue":"` + u + `"}}}`,
		},
		"attributes": {
			jsonOf(SQS), `{"Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"` + q + `\"}","DelaySeconds":"0"}}`,
			`{"Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"` + qThere + `\"}","DelaySeconds":"0"}}`,
		},
		"a queue's answer": {
			answerOf(SQS), `{"QueueUrls":["` + u + `","` + u + `"],"Messages":[{"Body":"` + u + `","Attributes":{"DeadLetterQueueSourceArn":"` + q + `"}}]}`,
			`{"QueueUrls":["` + uThere + `","` + uThere + `"],"Messages":[{"Body":"` + u + `","Attributes":{"DeadLetterQueueSourceArn":"` + qThere + `"}}]}`,
		},
		"an item": {
			jsonOf(DynamoDB), `{"TableName":"` + q + `","Item":{"TableName":{"S":"` + q + `"},"TableArn":{"S":"` + q + `"}}}`,
			`{"TableName":"` + qThere + `","Item":{"TableName":{"S":"` + q + `"},"TableArn":{"S":"` + q + `"}}}`,
		},
		"tables as members": {
			jsonOf(DynamoDB), `{"RequestItems":{"` + q + `":[{"PutRequest":{"Item":{"` + q + `":{"S":"x"}}}}],"t":[]}}`,
			`{"RequestItems":{"` + qThere + `":[{"PutRequest":{"Item":{"` + q + `":{"S":"x"}}}}],"t":[]}}`,
		},
		"a transaction": {
			jsonOf(DynamoDB), `{"TransactItems":[{"Put":{"TableName":"` + q + `","Item":{"TableName":{"S":"` + q + `"}}}}]}`,
			`{"TransactItems":[{"Put":{"TableName":"` + qThere + `","Item":{"TableName":{"S":"` + q + `"}}}}]}`,
		},
		"log lines": {
			jsonOf(Logs), `{"logGroupIdentifier":"` + q + `","logEvents":[{"message":"` + q + `"}]}`,
			`{"logGroupIdentifier":"` + qThere + `","logEvents":[{"message":"` + q + `"}]}`,
		},
		"a form": {
			formOf(SQS), "Action=SendMessage&QueueUrl=http%3A%2F%2Flocalhost%2F000000000000%2Fq&MessageBody=" + q + "&MessageAttribute.1.Name=Policy&MessageAttribute.1.Value.StringValue=" + q,
			"Action=SendMessage&QueueUrl=https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F111122223333%2Fq&MessageBody=" + q + "&MessageAttribute.1.Name=Policy&MessageAttribute.1.Value.StringValue=" + q,
		},
		"pairs in a form": {
			formOf(SNS), "Attributes.entry.1.value=" + q + "&Attributes.entry.1.key=RedrivePolicy&Attributes.entry.2.key=FilterPolicy&Attributes.entry.2.value=" + q + "&AttributeName=Policy&AttributeValue=" + q,
			"Attributes.entry.1.value=arn%3Aaws%3Asqs%3Aeu-west-1%3A111122223333%3Aq&Attributes.entry.1.key=RedrivePolicy&Attributes.entry.2.key=FilterPolicy&Attributes.entry.2.value=" + q +
				"&AttributeName=Policy&AttributeValue=arn%3Aaws%3Asqs%3Aeu-west-1%3A111122223333%3Aq",
		},
		"messages in XML": {
			xmlOf(SQS), `<?xml version="1.0"?><ReceiveMessageResponse xmlns="x"><ReceiveMessageResult><Message><Body>` + q + `</Body><Attribute><Name>DeadLetterQueueSourceArn</Name><Value>` + q + `</Value></Attribute>` +
				`<MessageAttribute><Name>DeadLetterQueueSourceArn</Name><Value><StringValue>` + q + `</StringValue></Value></MessageAttribute></Message></ReceiveMessageResult></ReceiveMessageResponse>`,
			`<?xml version="1.0"?><ReceiveMessageResponse xmlns="x"><ReceiveMessageResult><Message><Body>` + q + `</Body><Attribute><Name>DeadLetterQueueSourceArn</Name><Value>` + qThere + `</Value></Attribute>` +
				`<MessageAttribute><Name>DeadLetterQueueSourceArn</Name><Value><StringValue>` + q + `</StringValue></Value></MessageAttribute></Message></ReceiveMessageResult></ReceiveMessageResponse>`,
		},
		"topics in XML": {
			xmlOf(SNS), `<ListTopicsResponse><ListTopicsResult><Topics><member><TopicArn>` + q + `</TopicArn></member></Topics><X/></ListTopicsResult></ListTopicsResponse>`,
			`<ListTopicsResponse><ListTopicsResult><Topics><member><TopicArn>` + qThere + `</TopicArn></member></Topics><X/></ListTopicsResult></ListTopicsResponse>`,
		},
		"attributes in XML": {
			xmlOf(SNS), `<R><GResult><Attributes><entry><key>Owner</key><value>000000000000</value></entry><entry><key>DisplayName</key><value>000000000000</value></entry></Attributes></GResult></R>`,
			`<R><GResult><Attributes><entry><key>Owner</key><value>111122223333</value></entry><entry><key>DisplayName</key><value>000000000000</value></entry></Attributes></GResult></R>`,
		},
		"a role in XML": {
			xmlOf(Identity), `<R><GResult><Role><Arn>arn:aws:iam::000000000000:role/r</Arn><AssumeRolePolicyDocument>%22arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fr%22</AssumeRolePolicyDocument></Role></GResult></R>`,
			`<R><GResult><Role><Arn>arn:aws:iam::111122223333:role/r</Arn><AssumeRolePolicyDocument>%22arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fr%22</AssumeRolePolicyDocument></Role></GResult></R>`,
		},
		"what is no JSON": {jsonOf(SQS), `{"QueueUrl":"` + u + `"`, `{"QueueUrl":"` + u + `"`},
		"what is no XML":  {xmlOf(SNS), `<R><GResult><TopicArn>` + q + `</TopicArn>`, `<R><GResult><TopicArn>` + q + `</TopicArn>`},
		"what is no form": {formOf(SQS), "QueueUrl=" + u + "&x=%zz", "QueueUrl=" + u + "&x=%zz"},
	} {
		if got := c.by(c.in); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// The URL of an object names our endpoint, with the bucket in the path wherever the other side has it.
func TestObjectURLsNameTheOtherSide(t *testing.T) {
	t.Parallel()
	back := Names{Side{Endpoint: "https://s3.eu-west-1.amazonaws.com"}, here}
	for in, want := range map[string]string{
		"https://s3.eu-west-1.amazonaws.com/b/k%20k": "http://127.0.0.1:4566/b/k%20k",
		"https://b.s3.eu-west-1.amazonaws.com/k":     "http://127.0.0.1:4566/b/k",
		"https://elsewhere/b/k":                      "https://elsewhere/b/k",
	} {
		body := back.value(objectURL, in)
		if body != want {
			t.Errorf("%s: got %s, want %s", in, body, want)
		}
	}
}

// Whatever a message, an item or a log line holds, its bytes do not change, and neither does what is no name.
func FuzzPayloadsNeverChange(f *testing.F) {
	for _, s := range []string{
		"", "arn:aws:sqs:us-east-1:000000000000:q", `{"QueueUrl":"http://127.0.0.1:4566/000000000000/q"}`,
		"\u2028<&>\"\\", "\x00\xff", "&QueueUrl=x", "</Body><QueueUrl>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		literal, err := json.Marshal(payload)
		if err != nil {
			t.Skip()
		}
		const url = `"http://127.0.0.1:4566/000000000000/q"`
		for s, around := range map[*Service][2]string{
			SQS:      {`{"QueueUrl":` + url + `,"MessageBody":`, `,"MessageAttributes":{"a":{"StringValue":"x"}}}`},
			DynamoDB: {`{"TableName":"t","Item":{"QueueUrl":{"S":`, `}},"ReturnValues":"NONE"}`},
			Logs:     {`{"logGroupName":"g","logEvents":[{"message":`, `}]}`},
		} {
			in := []byte(around[0] + string(literal) + around[1])
			for _, got := range [][]byte{s.RequestJSON(out, in), s.AnswerJSON(out, in)} {
				if !json.Valid(got) ||
					!bytes.HasSuffix(got, slices.Concat(literal, []byte(around[1]))) {
					t.Fatalf("%s became %s", in, got)
				}
			}
		}
		// Arbitrary bodies neither panic nor become other JSON than they were.
		for _, s := range []*Service{SQS, SNS, DynamoDB, Logs, Identity, S3} {
			got := s.RequestJSON(out, []byte(payload))
			if json.Valid([]byte(payload)) != json.Valid(got) {
				t.Fatalf("%q became %q", payload, got)
			}
			s.AnswerXML(out, []byte(payload))
			s.Form(out, payload)
		}
		body := "MessageBody=" + strings.NewReplacer("&", "", "%", "").Replace(payload) + "&"
		if form := SQS.Form(out, body+"QueueUrl=x"); !strings.HasPrefix(form, body) {
			t.Fatalf("%q became %q", payload, form)
		}
	})
}
