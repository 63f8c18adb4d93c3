package sns

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/fault"
)

// maxBatch is how many messages a batch has at most.
const maxBatch = 10

type publishAnswer struct {
	MessageID string `xml:"MessageId"`
}

// publish gives a message to the subscribers of a topic. Source: SNS API Reference, Publish.
func (h *Handler) publish(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := r.need("Message"); err != nil {
		return nil, err
	}
	if r.Get("PhoneNumber") != "" {
		return nil, absent.Parameter(topic.CodeInvalid, "PhoneNumber")
	}
	parameter := "TopicArn"
	switch {
	case r.Get("TopicArn") != "" && r.Get("TargetArn") != "":
		return nil, topic.Invalid("TopicArn or TargetArn Reason: only one of them can be given")
	case r.Get("TopicArn") == "" && r.Get("TargetArn") == "":
		return nil, topic.Invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case r.Get("TargetArn") != "":
		if parameter = "TargetArn"; strings.Contains(r.Get("TargetArn"), ":endpoint/") {
			return nil, absent.Parameter(topic.CodeInvalid, "TargetArn of an endpoint")
		}
	}
	name, err := r.topic(parameter)
	if err != nil {
		return nil, err
	}
	m, err := r.message("")
	if err != nil {
		return nil, err
	}
	id, err := h.topics.Publish(ctx, name, m)
	if err != nil {
		return nil, err
	}
	return publishAnswer{id}, nil
}

// message reads a message whose parameters begin with prefix.
func (r *request) message(prefix string) (m topic.Message, err error) {
	m.Body, m.Subject = r.Get(prefix+"Message"), r.Get(prefix+"Subject")
	if r.Has(prefix+"Subject") && m.Subject == "" {
		return m, topic.Invalid("Subject")
	}
	switch r.Get(prefix + "MessageStructure") {
	case "":
	case "json":
		m.Structured = true
	default:
		return m, topic.Invalid("MessageStructure")
	}
	for _, parameter := range []string{"MessageGroupId", "MessageDeduplicationId"} {
		if r.Get(prefix+parameter) != "" {
			return m, topic.Invalid(
				"%s Reason: The request includes %s parameter that is not valid for this topic type", parameter,
				parameter,
			)
		}
	}
	for _, e := range r.Elements(prefix + "MessageAttributes.entry") {
		a := topic.Attribute{Name: r.Get(e + ".Name"), Type: r.Get(e + ".Value.DataType")}
		text, binary := r.Get(e+".Value.StringValue"), r.Get(e+".Value.BinaryValue")
		if a.Type == "Binary" {
			if a.Value, err = base64.StdEncoding.DecodeString(binary); err != nil {
				return m, fault.New(
					topic.CodeInvalidValue, "The value of the message attribute '%s' is not base64.", clip(a.Name),
				)
			}
			binary = text // must not be there
		} else {
			a.Value = []byte(text)
		}
		if binary != "" {
			return m, fault.New(
				topic.CodeInvalidValue, "The message attribute '%s' with type '%s' must use field '%s'.", clip(a.Name),
				clip(a.Type),
				map[bool]string{true: "Binary", false: "String"}[a.Type == "Binary"],
			)
		}
		m.Attributes = append(m.Attributes, a)
	}
	return m, nil
}

type batchedXML struct {
	ID        string `xml:"Id"`
	MessageID string `xml:"MessageId"`
}

type failedXML struct {
	ID          string `xml:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

type publishBatchAnswer struct {
	Successful []batchedXML `xml:"Successful>member"`
	Failed     []failedXML  `xml:"Failed>member"`
}

// publishBatch gives up to ten messages to the subscribers of a topic, each by itself. Source: SNS API Reference,
// PublishBatch.
func (h *Handler) publishBatch(ctx context.Context, c wire.Caller, r *request) (any, error) {
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	entries := r.Elements("PublishBatchRequestEntries.member")
	if err := r.checkBatch(entries); err != nil {
		return nil, err
	}
	if _, err := h.topics.Attributes(ctx, name); err != nil {
		return nil, err
	}
	total := 0
	messages := make([]topic.Message, len(entries))
	refused := make([]error, len(entries))
	for i, e := range entries {
		messages[i], refused[i] = r.message(e + ".")
		total += messages[i].Size()
	}
	if total > topic.MaxMessageBytes {
		return nil, fault.New(
			codeBatchTooLong, "The length of all the messages put together is more than the limit.",
		)
	}
	var a publishBatchAnswer
	for i, e := range entries {
		id, err := "", refused[i]
		if err == nil {
			id, err = h.topics.Publish(ctx, name, messages[i])
		}
		if err != nil {
			f := wire.AsFault(err, topic.CodeInternal, c, h.log)
			a.Failed = append(a.Failed, failedXML{
				r.Get(e + ".Id"), f.Code, f.Message, f.Status < http.StatusInternalServerError,
			})
			continue
		}
		a.Successful = append(a.Successful, batchedXML{r.Get(e + ".Id"), id})
	}
	return a, nil
}

// checkBatch refuses a batch as a whole.
func (r *request) checkBatch(entries []string) error {
	ids := map[string]bool{}
	switch {
	case len(entries) == 0:
		return fault.New(codeBatchEmpty, "The batch request doesn't contain any entries.")
	case len(entries) > maxBatch:
		return fault.New(codeBatchTooMany, "The batch request contains more entries than permissible.")
	}
	for _, e := range entries {
		id := r.Get(e + ".Id")
		if len(id) > 80 || !topic.ValidTopicName(id) {
			return fault.New(
				codeBatchEntryID, "The Id of a batch entry in a batch request doesn't abide by the specification.",
			)
		}
		if ids[id] {
			return fault.New(codeBatchIDsTwice, "Two or more batch entries in the request have the same Id.")
		}
		ids[id] = true
	}
	return nil
}
