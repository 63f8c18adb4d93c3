package topic

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/companion/message"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// MaxMessageBytes bounds a message with its attributes; the messages of a batch together stay within it, too.
const MaxMessageBytes = 256 << 10

const maxSubject = 100 // characters

// Message is what Publish takes.
type Message struct {
	Subject    string // "": none
	Body       string
	Structured bool // Body is a JSON object with a text for each protocol
	Attributes []Attribute
}

// Attribute is a message attribute. Type is String, String.Array, Number or Binary; Value holds text unless Binary.
type Attribute struct {
	Name, Type string
	Value      []byte
}

// Copy is a message as one subscriber gets it.
type Copy struct {
	Topic      Name // that sends it
	Body       string
	Attributes []Attribute // of a raw copy; else the body has them
}

// Size returns what counts for MaxMessageBytes.
func (m *Message) Size() int {
	n := len(m.Body)
	for _, a := range m.Attributes {
		n += len(a.Name) + len(a.Type) + len(a.Value)
	}
	return n
}

// Validate refuses what SNS refuses.
func (m *Message) Validate() error {
	switch {
	case m.Body == "":
		return Invalid("Empty message")
	case m.Size() > MaxMessageBytes:
		return Invalid("Message too long")
	case m.Subject != "" && !validSubject(m.Subject):
		return Invalid("Subject")
	}
	for i, a := range m.Attributes {
		for _, o := range m.Attributes[:i] {
			if o.Name == a.Name {
				return invalidValue("The message attribute '%s' is given twice.", clip(a.Name))
			}
		}
		if err := a.validate(); err != nil {
			return err
		}
	}
	_, err := m.forQueues()
	return err
}

// validSubject reports whether s is a line of ASCII that begins with a letter, a digit or a punctuation mark.
func validSubject(s string) bool {
	return len(s) <= maxSubject && s[0] != ' ' &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// forQueues returns the text that queues get of a message.
func (m *Message) forQueues() (string, error) {
	if !m.Structured {
		return m.Body, nil
	}
	var texts map[string]json.RawMessage
	if !jsontext.Faithful([]byte(m.Body)) || json.Unmarshal([]byte(m.Body), &texts) != nil {
		return "", Invalid("Message Structure - JSON message body failed to parse")
	}
	var common, own string
	if texts["default"] == nil || texts["default"][0] != '"' || json.Unmarshal(texts["default"], &common) != nil {
		return "", Invalid("Message Structure - No default entry in JSON message body")
	}
	if texts["sqs"] == nil || texts["sqs"][0] != '"' || json.Unmarshal(texts["sqs"], &own) != nil {
		return common, nil
	}
	return own, nil
}

func invalidValue(format string, args ...any) error {
	return fault.New(CodeInvalidValue, format, args...)
}

func (a *Attribute) validate() error {
	name := clip(a.Name)
	switch {
	case !message.ValidAttributeName(a.Name):
		return invalidValue("Invalid attribute name: %s. It has 1 to %d characters A-Z, a-z, 0-9, underscore, hyphen and period; it neither begins nor ends with a period, "+
			"has no two in a row, and does not begin with AWS. or Amazon.", name, message.MaxAttributeName)
	case a.Type == "":
		return invalidValue("The message attribute '%s' must contain non-empty message attribute type.", name)
	case a.Type != "String" && a.Type != "String.Array" && a.Type != "Number" && a.Type != "Binary":
		return invalidValue(
			"The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
			name,
		)
	case len(a.Value) == 0:
		return invalidValue(
			"The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.",
			name, a.Type,
		)
	case a.Type == "Number" && !message.ValidNumber(string(a.Value)):
		return invalidValue("Could not cast message attribute '%s' value to number.", name)
	case a.Type == "String.Array" && !array(a.Value):
		return invalidValue(
			"The message attribute '%s' is not an array of texts, numbers, true, false and null in JSON.", name,
		)
	}
	return nil
}

// array reports whether a text is a JSON array without objects and arrays in it.
func array(text []byte) bool {
	var values []json.RawMessage
	if !jsontext.Faithful(text) || json.Unmarshal(text, &values) != nil || values == nil {
		return false
	}
	for _, v := range values {
		if v[0] == '{' || v[0] == '[' {
			return false
		}
	}
	return true
}

// clip shortens a caller's value for quoting.
func clip(s string) string { return fault.Clip(s, 100) }

// unsigned is the signature of every message. Nobody has AWS's key, so a receiver who verifies signatures refuses it,
// as it must; its form is that of a signature.
var unsigned = base64.StdEncoding.EncodeToString([]byte("not signed by AWS"))

// envelope returns the JSON that a queue gets of a message: AWS's, down to its white space and the order of its
// members.
func envelope(to Subscription, id, subject, text string, attributes []Attribute, at time.Time, endpoint string) string {
	var b strings.Builder
	b.Grow(1024 + len(text) + len(text)/8)
	member := func(name, value string) {
		if b.Len() > 0 {
			b.WriteString(",\n")
		} else {
			b.WriteString("{\n")
		}
		b.WriteString(`  "` + name + `" : `)
		b.WriteString(quote(value))
	}
	member("Type", "Notification")
	member("MessageId", id)
	member("TopicArn", to.Topic.ARN())
	if subject != "" {
		member("Subject", subject)
	}
	member("Message", text)
	member("Timestamp", at.UTC().Format("2006-01-02T15:04:05.000Z"))
	member("SignatureVersion", "1")
	member("Signature", unsigned)
	member("SigningCertURL", "https://sns."+to.Topic.Region+".amazonaws.com/SimpleNotificationService-unsigned.pem")
	member("UnsubscribeURL", endpoint+"/?Action=Unsubscribe&SubscriptionArn="+to.ARN())
	for i, a := range attributes {
		if i == 0 {
			b.WriteString(",\n  \"MessageAttributes\" : {\n")
		} else {
			b.WriteString(",\n")
		}
		value := string(a.Value)
		if a.Type == "Binary" {
			value = base64.StdEncoding.EncodeToString(a.Value)
		}
		b.WriteString("    " + quote(a.Name) + ` : {"Type":` + quote(a.Type) + `,"Value":` + quote(value) + "}")
	}
	if len(attributes) > 0 {
		b.WriteString("\n  }")
	}
	b.WriteString("\n}")
	return b.String()
}

// nonCharacters are those above ' ' that queues take in no message; as JSON they can be escaped.
var nonCharacters = strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`)

// quote returns s, which is UTF-8, as a JSON string in which angle brackets and ampersands stay readable and which a
// queue takes whatever is in s.
func quote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == '"' || r == '\\' || r >= utf8.RuneError && r <= 0xffff
	}) {
		return `"` + s + `"`
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a text can always be encoded
	}
	return nonCharacters.Replace(strings.TrimSuffix(b.String(), "\n"))
}
