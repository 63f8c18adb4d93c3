package wire

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
)

// Codes of the query protocol, which differ from those of JSON.
const (
	codeFormTooLarge  = "RequestEntityTooLarge"
	codeMalformedForm = "MalformedQueryString"

	// CodeMissingToken is MissingAuthenticationTokenException as this protocol spells it.
	CodeMissingToken = "MissingAuthenticationToken"
)

// Form is a request in the query protocol: flat names, of which those of lists carry a number.
type Form struct{ url.Values }

// ReadForm reads the parameters of a request in the query protocol, from its URL and from its body of at most limit
// bytes. What does not parse or is longer is the caller's fault, with status 400 or 413.
func ReadForm(r *http.Request, limit int64) (Form, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Form{}, malformed("The query string is malformed: " + err.Error())
	}
	if r.Body == nil {
		return validForm(values)
	}
	body, err := AppendBody(nil, r, limit)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return Form{}, &fault.Error{
			Code: codeFormTooLarge, Status: http.StatusRequestEntityTooLarge,
			Message: "The request is longer than " + strconv.FormatInt(limit, 10) + " bytes.",
		}
	case fault.CodeOf(err) != "":
		return Form{}, err
	case err != nil:
		return Form{}, malformed("The request ended early.")
	}
	return withBody(values, string(body))
}

// validForm refuses a form that is not UTF-8 after decoding: in an answer or a file it would become U+FFFD, and two
// different values would become one.
func validForm(values url.Values) (Form, error) {
	for name, all := range values {
		if !utf8.ValidString(name) || slices.ContainsFunc(all, func(v string) bool { return !utf8.ValidString(v) }) {
			return Form{}, malformed("The request is not valid UTF-8.")
		}
	}
	return Form{values}, nil
}

// ParseForm returns the parameters of a request in the query protocol whose query and body are at hand.
func ParseForm(query, body string) (Form, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Form{}, malformed("The query string is malformed: " + err.Error())
	}
	return withBody(values, body)
}

// withBody adds the parameters of a body.
func withBody(values url.Values, body string) (Form, error) {
	fields, err := url.ParseQuery(body)
	if err != nil {
		return Form{}, malformed("The form is malformed: " + err.Error())
	}
	for name, v := range fields {
		values[name] = append(values[name], v...)
	}
	return validForm(values)
}

func malformed(text string) error {
	return &fault.Error{Code: codeMalformedForm, Status: http.StatusBadRequest, Message: text}
}

// Action returns the operation that the request names.
func (f Form) Action() string { return f.Get("Action") }

// Elements returns the prefixes of the elements of a list, in order from 1 without gaps: "Dimensions.member.1" for list
// "Dimensions.member", "Attribute.1" for the flattened list "Attribute". An element exists if a parameter's name is its
// prefix, or begins with it and a dot.
func (f Form) Elements(list string) []string {
	there := map[string]bool{}
	for name := range f.Values {
		if rest, ok := strings.CutPrefix(name, list+"."); ok {
			number, _, _ := strings.Cut(rest, ".")
			there[number] = true
		}
	}
	var out []string
	for n := 1; there[strconv.Itoa(n)]; n++ {
		out = append(out, list+"."+strconv.Itoa(n))
	}
	return out
}

// Strings are the values of a list of plain values; see Elements.
func (f Form) Strings(list string) []string {
	var out []string
	for _, e := range f.Elements(list) {
		out = append(out, f.Get(e))
	}
	return out
}

// WriteQuery answers an action of the query protocol with its result: a struct whose fields are the members of the
// result element, or nil for actions that have none.
func WriteQuery(w http.ResponseWriter, c Caller, namespace, action string, result any) {
	SetIDs(w.Header(), c)
	writeXML(w, http.StatusOK, queryAnswer{
		XMLName: xml.Name{Local: action + "Response"}, Namespace: namespace,
		Result: queryResult{action + "Result", result}, Metadata: queryMetadata{c.RequestID},
	})
}

// WriteQueryError answers with a fault in the shape of the query protocol. legacy is the code as this protocol spells
// it.
func WriteQueryError(w http.ResponseWriter, c Caller, namespace, legacy string, f *fault.Error) {
	SetIDs(w.Header(), c)
	side := "Sender"
	if f.Status >= http.StatusInternalServerError {
		side = "Receiver"
	}
	writeXML(w, f.Status, queryError{
		Namespace: namespace, Type: side, Code: legacy, Message: Explanation(f), RequestID: c.RequestID,
	})
}

type queryAnswer struct {
	XMLName   xml.Name
	Namespace string        `xml:"xmlns,attr"`
	Result    queryResult   `xml:",omitempty"`
	Metadata  queryMetadata `xml:"ResponseMetadata"`
}

type queryMetadata struct {
	RequestID string `xml:"RequestId"`
}

// queryResult is the result element, named after the action; none without a result.
type queryResult struct {
	name   string
	result any
}

// MarshalXML writes the element under its own name.
func (q queryResult) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	if q.result == nil {
		return nil
	}
	return e.EncodeElement(q.result, xml.StartElement{Name: xml.Name{Local: q.name}})
}

type queryError struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func writeXML(w http.ResponseWriter, status int, body any) {
	b, err := xml.Marshal(body)
	if err != nil {
		panic(err) // our own types always marshal
	}
	WriteBytes(w, status, "text/xml", append([]byte(xml.Header), b...))
}
