package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// form sends a request in the query protocol as SDKs of the time write it: a form with a signature.
func (s *server) form(t *testing.T, path string, fields url.Values, header map[string]string) answer {
	t.Helper()
	h := formHeaders("sqs")
	for k, v := range header {
		h[k] = v
	}
	return send(t, http.DefaultClient, "POST", s.Endpoint+path, fields.Encode(), h)
}

// element returns the text of the first element with a name.
func element(body, name string) string {
	m := regexp.MustCompile("<" + name + ">([^<]*)</" + name + ">").FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}

// F-73, F-74 in the query protocol: a queue from its creation to its deletion, with nothing but forms.
func TestQueuesOverTheQueryProtocol(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	const version = "2012-11-05"
	created := s.form(
		t, "/",
		url.Values{
			"Action": {"CreateQueue"}, "Version": {version}, "QueueName": {"old"},
			"Attribute.1.Name": {"VisibilityTimeout"}, "Attribute.1.Value": {"5"},
		},
		nil,
	)
	queue, err := url.Parse(element(created.body, "QueueUrl"))
	if created.status != 200 || err != nil || queue.Path != "/000000000000/old" {
		t.Fatalf("created: %d %s", created.status, created.body)
	}

	sent := s.form(
		t, queue.Path, url.Values{"Action": {"SendMessage"}, "Version": {version}, "MessageBody": {"Test"}}, nil,
	)
	if element(sent.body, "MD5OfMessageBody") != "0cbc6611f5540bd0809a388dc95a615b" {
		t.Errorf("sent: %d %s", sent.status, sent.body)
	}
	got := send(
		t, http.DefaultClient, "GET", s.Endpoint+queue.Path+"?Action=ReceiveMessage&WaitTimeSeconds=5&Version="+version,
		"", map[string]string{"Authorization": signature},
	)
	if element(got.body, "Body") != "Test" || element(got.body, "MessageId") != element(sent.body, "MessageId") {
		t.Errorf("received: %d %s", got.status, got.body)
	}
	for _, fields := range []url.Values{
		{"Action": {"DeleteMessage"}, "ReceiptHandle": {element(got.body, "ReceiptHandle")}},
		{"Action": {"DeleteQueue"}},
	} {
		if a := s.form(t, queue.Path, fields, nil); a.status != 200 || element(a.body, "RequestId") == "" {
			t.Errorf("%v: %d %s", fields, a.status, a.body)
		}
	}

	gone := s.form(t, queue.Path, url.Values{"Action": {"ReceiveMessage"}, "Version": {version}}, nil)
	if gone.status != 400 || element(gone.body, "Code") != "AWS.SimpleQueueService.NonExistentQueue" ||
		!strings.HasSuffix(element(gone.body, "Message"), " for this wsdl version.") {
		t.Errorf("gone: %d %s", gone.status, gone.body)
	}
}

// formHeaders are those of a form that a client sends to a service of the query protocol.
func formHeaders(service string) map[string]string {
	return map[string]string{
		"Content-Type":  "application/x-www-form-urlencoded",
		"Authorization": strings.Replace(signature, "/kinesis/", "/"+service+"/", 1),
	}
}
