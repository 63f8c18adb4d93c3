package sqs

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// The query protocol is the older of this service's two: a form comes in, XML goes out. A form is converted to the
// members of the JSON protocol, the same operations run, and their answers are converted to XML; only names, codes and
// some texts differ. SDKs before November 2023 and curl use it.

// queryNamespace is the namespace of answers in XML.
const queryNamespace = "http://queue.amazonaws.com/doc/2012-11-05/"

// maxFormFields bounds a form: ten messages with ten attributes each have about 500 fields.
const maxFormFields = 2000

// Codes that only the query protocol gives.
const (
	codeInvalidAction = "InvalidAction"
	codeMalformed     = "MalformedQueryString"
)

// queryCodes holds the codes that are spelt differently only in this protocol, in addition to legacy.
var queryCodes = map[string]string{
	fault.CodeSerialization: "InvalidParameterValue", queue.CodeInternal: "InternalError",
}

// queryTexts are messages that differ from those of the JSON protocol.
var queryTexts = map[string]string{
	queue.CodeNoSuchQueue: "The specified queue does not exist for this wsdl version.",
}

// integers are the members that are numbers in JSON.
var integers = []string{"DelaySeconds", "MaxNumberOfMessages", "MaxResults", "VisibilityTimeout", "WaitTimeSeconds"}

// lists are the flattened lists of the form, with the members of JSON that they are.
var lists = map[string]string{
	"AWSAccountId": "AWSAccountIds", "ActionName": "Actions", "AttributeName": "AttributeNames", "MessageAttributeName": "MessageAttributeNames",
	"MessageSystemAttributeName": "MessageSystemAttributeNames", "TagKey": "TagKeys",
}

func unknownAction(action string) *fault.Error {
	return fault.New(codeInvalidAction, "The action %s is not valid for this endpoint.", clip(action))
}

func readForm(r *http.Request, c wire.Caller, form wire.Form) (params, error) {
	p, err := formParams(form)
	if err != nil {
		return nil, err
	}
	if _, ok := p["QueueUrl"]; !ok && strings.Trim(r.URL.Path, "/") != "" {
		p["QueueUrl"] = raw(c.Endpoint + r.URL.Path) // the request went to the queue itself
	}
	return p, nil
}

// raw returns a value as JSON.
func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	return b
}

// formParams turns a form into the members of the JSON protocol.
func formParams(form wire.Form) (params, error) {
	if len(form.Values) > maxFormFields {
		return nil, fault.New(codeMalformed, "The request has more than %d parameters.", maxFormFields)
	}
	p := params{}
	for name, values := range form.Values {
		if strings.Contains(name, ".") || name == "Action" || name == "Version" {
			continue
		}
		if err := p.scalar(name, values[0]); err != nil {
			return nil, err
		}
	}
	for list, member := range lists {
		if v := form.Strings(list); v != nil {
			p[member] = raw(v)
		}
	}
	p.pairs(form, "Attribute", "Name", "Attributes")
	for _, list := range []string{"Tag", "Tags"} { // as the API Reference says, and as the Java SDK v1 tags a queue
		for _, member := range []string{"tags", "Tags"} { // of CreateQueue, and of TagQueue
			p.pairs(form, list, "Key", member)
		}
	}
	for list, member := range map[string]string{
		"MessageAttribute": "MessageAttributes", "MessageSystemAttribute": "MessageSystemAttributes",
	} {
		p.values(form, list, member)
	}
	return p, nil
}

// scalar takes a plain value.
func (p params) scalar(name, value string) error {
	if !slices.Contains(integers, name) {
		p[name] = raw(value)
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return fault.New(
			queue.CodeInvalidParameter, "Value %s for parameter %s is invalid. Reason: Must be an integer.",
			clip(value), name,
		)
	}
	p[name] = raw(n)
	return nil
}

// pairs takes a flattened map of texts.
func (p params) pairs(form wire.Form, list, key, member string) {
	m := map[string]string{}
	for _, e := range form.Elements(list) {
		m[form.Get(e+"."+key)] = form.Get(e + ".Value")
	}
	if len(m) > 0 {
		p[member] = raw(m)
	}
}

// values takes a flattened map of message attributes.
func (p params) values(form wire.Form, list, member string) {
	m := map[string]map[string]any{}
	for _, e := range form.Elements(list) {
		value := map[string]any{"DataType": form.Get(e + ".Value.DataType")}
		// of which the binary one is base64 in both protocols
		for _, field := range []string{"StringValue", "BinaryValue"} {
			if form.Has(e + ".Value." + field) {
				value[field] = form.Get(e + ".Value." + field)
			}
		}
		for _, field := range []string{"StringListValue", "BinaryListValue"} {
			if v := form.Strings(e + ".Value." + field); v != nil {
				value[field+"s"] = v
			}
		}
		m[form.Get(e+".Name")] = value
	}
	if len(m) > 0 {
		p[member] = raw(m)
	}
}

// Answers of the query protocol. Maps become flattened lists of pairs, in the order of their names.
type (
	pairXML struct {
		Name  string `xml:"Name"`
		Value string `xml:"Value"`
	}
	valueXML struct {
		StringValue *string `xml:"StringValue"`
		BinaryValue []byte  `xml:"BinaryValue,omitempty"`
		DataType    string  `xml:"DataType"`
	}
	userAttributeXML struct {
		Name  string   `xml:"Name"`
		Value valueXML `xml:"Value"`
	}
	messageXML struct {
		MessageID           string             `xml:"MessageId"`
		ReceiptHandle       string             `xml:"ReceiptHandle"`
		MD5OfBody           string             `xml:"MD5OfBody"`
		Body                string             `xml:"Body"`
		Attributes          []pairXML          `xml:"Attribute"`
		MD5OfUserAttributes string             `xml:"MD5OfMessageAttributes,omitempty"`
		UserAttributes      []userAttributeXML `xml:"MessageAttribute"`
	}
	urlXML struct {
		QueueURL string `xml:"QueueUrl"`
	}
	listQueuesXML struct {
		QueueURLs []string `xml:"QueueUrl"`
		NextToken string   `xml:"NextToken,omitempty"`
	}
	attributesXML struct {
		Attributes []pairXML `xml:"Attribute"`
	}
	tagXML struct {
		Key   string `xml:"Key"`
		Value string `xml:"Value"`
	}
	tagsXML struct {
		Tags []tagXML `xml:"Tag"`
	}
	sendMessageXML struct {
		MessageID           string `xml:"MessageId"`
		MD5OfBody           string `xml:"MD5OfMessageBody"`
		MD5OfUserAttributes string `xml:"MD5OfMessageAttributes,omitempty"`
	}
	receiveMessageXML struct {
		Messages []messageXML `xml:"Message"`
	}
)

// queryAnswer returns an operation's answer as XML; nil for operations without a result.
func queryAnswer(answer any) any {
	switch a := answer.(type) {
	case urlAnswer:
		return urlXML(a)
	case listQueuesAnswer:
		return listQueuesXML(a)
	case attributesAnswer:
		return attributesXML{pairsOf(a.Attributes)}
	case tagsAnswer:
		var out tagsXML
		for _, t := range pairsOf(a.Tags) {
			out.Tags = append(out.Tags, tagXML{t.Name, t.Value})
		}
		return out
	case sendMessageAnswer:
		return sendMessageXML(a)
	case receiveMessageAnswer:
		var out receiveMessageXML
		for _, m := range a.Messages {
			x := messageXML{
				m.MessageID, m.ReceiptHandle, m.MD5OfBody, m.Body, pairsOf(m.Attributes), m.MD5OfUserAttributes, nil,
			}
			for _, name := range slices.Sorted(maps.Keys(m.UserAttributes)) {
				v := m.UserAttributes[name]
				x.UserAttributes = append(x.UserAttributes, userAttributeXML{
					name, valueXML{v.StringValue, encoded(v.BinaryValue), v.DataType},
				})
			}
			out.Messages = append(out.Messages, x)
		}
		return out
	}
	return nil
}

// encoded returns a binary value in base64.
func encoded(b []byte) []byte {
	if b == nil {
		return nil
	}
	return base64.StdEncoding.AppendEncode(nil, b)
}

func pairsOf(m map[string]string) []pairXML {
	var out []pairXML
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pairXML{name, m[name]})
	}
	return out
}

// writeQueryFault answers with f in the query protocol.
func writeQueryFault(w http.ResponseWriter, c wire.Caller, f *fault.Error) {
	code := cmp.Or(queryCodes[f.Code], legacy[f.Code], wire.FormCode(f.Code))
	out := *f
	if text := queryTexts[f.Code]; text != "" {
		out.Message = text
	}
	wire.Hint(w.Header(), f.Hint)
	wire.WriteQueryError(w, c, queryNamespace, code, &out)
}
