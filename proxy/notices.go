package proxy

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// CodeFailed is the code of the faults with which the senders below say that a target refused something, or that it did
// not answer. Both are answers of a destination: they use up a try, because nothing here can mend them. A key that is
// missing or a server that stops uses up none.
const CodeFailed = "CompanionFailed"

// CodeOff is the code of the fault of a notice to a companion that is off.
const CodeOff = "CompanionOff"

// CodeInvalidParameter is SNS's code for a parameter that it cannot take.
const CodeInvalidParameter = "InvalidParameter"

// Attribute is an attribute of a message. Its value is base64 on the wire if its type begins with Binary.
type Attribute struct {
	Name, Type string
	Value      []byte
}

// SendMessage returns when a message is durable in the target's queue of that name.
func (t *Target) SendMessage(ctx context.Context, account, region, queue, body string, attributes []Attribute) error {
	type value struct {
		DataType    string
		StringValue *string `json:",omitempty"`
		BinaryValue []byte  `json:",omitempty"`
	}
	in := struct {
		QueueURL   string           `json:"QueueUrl"`
		Body       string           `json:"MessageBody"`
		Attributes map[string]value `json:"MessageAttributes,omitempty"`
	}{QueueURL: t.names(account, region, "").QueueURL("http://queue/" + account + "/" + queue), Body: body}
	for _, a := range attributes {
		if in.Attributes == nil {
			in.Attributes = map[string]value{}
		}
		v := value{DataType: a.Type}
		if strings.HasPrefix(a.Type, "Binary") {
			v.BinaryValue = a.Value
		} else {
			s := string(a.Value)
			v.StringValue = &s
		}
		in.Attributes[a.Name] = v
	}
	return t.callJSON(ctx, "sqs", "AmazonSQS.SendMessage", "application/x-amz-json-1.0", in, nil)
}

// SendNotice is SendMessage for a notice. SQS has no ids that drop a repeat on a standard queue: it comes twice.
func (t *Target) SendNotice(ctx context.Context, account, region, queue, _ string, body []byte) error {
	return t.SendMessage(ctx, account, region, queue, string(body), nil)
}

// PublishNotice returns when the target's topic of that name has the notice.
func (t *Target) PublishNotice(ctx context.Context, account, region, topic, _ string, message []byte) error {
	name := arn.New("sns", t.setting.Region, t.names(account, region, "").Account(account), topic).String()
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {name}, "Message": {string(message)},
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	_, err := t.told(t.call(ctx, "sns", http.MethodPost, "/", "", h, []byte(form.Encode())))
	return err
}

// PutNotice returns when the target's bucket of that name has the object.
func (t *Target) PutNotice(ctx context.Context, bucket, key string, body []byte) error {
	h := http.Header{"Content-Type": {"application/json"}}
	_, err := t.told(t.call(ctx, "s3", http.MethodPut, sigv4.Escape("/"+bucket+"/"+key), "", h, body))
	return err
}

// callJSON calls an operation of a JSON protocol and reads its answer into out, unless that is nil.
func (t *Target) callJSON(ctx context.Context, service, operation, contentType string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {contentType}, "X-Amz-Target": {operation}}
	got, err := t.told(t.call(ctx, service, http.MethodPost, "/", "", h, body))
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		return fault.New(CodeFailed, "%s answers what is no JSON: %s", t, err)
	}
	return nil
}

// told returns an answer that is a success. All others, and none at all, become errors with CodeFailed, unless the
// reason is ours or that ctx has ended.
func (t *Target) told(got answer, err error) (answer, error) {
	var why *failure
	switch {
	case errors.As(err, &why) && !why.ours && !errors.Is(err, context.Canceled):
		return got, &fault.Error{Code: CodeFailed, Message: why.text, Hint: why.hint}
	case err != nil:
		return got, err
	case got.status >= 200 && got.status < 300:
		return got, nil
	}
	code, text := complaint(got)
	return got, &refusal{got.status, code, fault.New(
		CodeFailed, "%s answers %d %s: %s", t, got.status, code, fault.Clip(text, 200),
	)}
}

// refusal is an error with the code that the target gave.
type refusal struct {
	status int
	code   string
	why    *fault.Error
}

func (r *refusal) Error() string { return r.why.Error() }
func (r *refusal) Unwrap() error { return r.why }

// Refused reports whether an error of a sender means that the target said no, and would say it again.
func Refused(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status < http.StatusInternalServerError && r.status != http.StatusTooManyRequests
}

// complaint returns code and text of an answer that is an error.
func complaint(got answer) (code, text string) {
	var j struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(got.body, &j) == nil {
		_, name, ok := strings.Cut(j.Type, "#")
		if !ok {
			name = j.Type
		}
		return name, j.Message
	}
	type told struct {
		Code    string
		Message string
	}
	var x struct {
		told
		Error told
	}
	if xml.Unmarshal(got.body, &x) == nil {
		if x.Code == "" {
			x.told = x.Error
		}
		return x.Code, x.Message
	}
	return "", fmt.Sprintf("%q", fault.Clip(string(got.body), 100))
}
