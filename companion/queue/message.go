package queue

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/companion/message"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Limits of message attributes (SQS Developer Guide, message metadata).
const (
	MaxMessageAttributes  = 10
	maxAttributeTypeBytes = 256
	maxDedupBytes         = 128
)

// Attribute is one message attribute. Type is String, Number or Binary, with an optional custom part (Number.int);
// Value holds UTF-8 text unless Binary.
type Attribute struct {
	Name, Type string
	Value      []byte
}

// Binary reports whether the value is bytes rather than text.
func (a Attribute) Binary() bool { return kindOf(a.Type) == "Binary" }

func kindOf(dataType string) string {
	kind, _, _ := strings.Cut(dataType, ".")
	return kind
}

// Message is what Send takes. Nothing of it is kept after Send returns.
type Message struct {
	Body       string // 1 byte to the queue's limit, together with Attributes
	Attributes []Attribute
	Delay      *time.Duration // 0 to 15 min in whole seconds; nil: as the queue says
	Sender     string         // SenderId as receivers see it; "" is the queue's account
	// up to 128 bytes; a second message with the same id within the queue's retention is dropped; "": never dropped
	DedupID string
}

// validate refuses what SQS refuses, under the settings of the queue.
func (m Message) validate(s Settings) error {
	if m.Body == "" {
		return fault.New(CodeMissingParameter, "The request must contain the parameter MessageBody.")
	}
	if !validText(m.Body) {
		return fault.New(CodeInvalidContents, textInvalidCharacters)
	}
	if m.Delay != nil && (*m.Delay < 0 || *m.Delay > MaxDelay) {
		return invalid(
			"Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.",
			*m.Delay/time.Second, MaxDelay/time.Second,
		)
	}
	if len(m.DedupID) > maxDedupBytes {
		return invalid("A deduplication id of %d bytes is longer than the allowed %d.", len(m.DedupID), maxDedupBytes)
	}
	if n := len(m.Attributes); n > MaxMessageAttributes {
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", n, MaxMessageAttributes)
	}
	size := len(m.Body)
	for _, a := range m.Attributes {
		if err := a.validate(); err != nil {
			return err
		}
		size += len(a.Name) + len(a.Type) + len(a.Value)
	}
	if size > s.MaxMessageBytes {
		return invalid(
			"One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", s.MaxMessageBytes,
		)
	}
	return nil
}

func (a Attribute) validate() error {
	if !message.ValidAttributeName(a.Name) {
		return invalid("Message (user) attribute name '%s' is invalid. Names have 1 to %d characters A-Z, a-z, 0-9, underscore, hyphen and period; they neither begin nor end "+
			"with a period, have no two in a row, and do not begin with AWS. or Amazon.", clip(a.Name),
			message.MaxAttributeName)
	}
	kind := kindOf(a.Type)
	switch {
	case a.Type == "":
		return invalid("The message attribute '%s' must contain non-empty message attribute type.", a.Name)
	case kind != "String" && kind != "Number" && kind != "Binary" || len(a.Type) > maxAttributeTypeBytes ||
		!validText(a.Type):
		return invalid(
			"The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
			a.Name,
		)
	case len(a.Value) == 0:
		return invalid(
			"The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.",
			a.Name, a.Type,
		)
	case kind != "Binary" && !validText(string(a.Value)):
		return fault.New(CodeInvalidContents, textInvalidCharacters)
	case kind == "Number" && !message.ValidNumber(string(a.Value)):
		return invalid("Can't cast the value of message (user) attribute '%s' to a number.", a.Name)
	}
	return nil
}

// validText reports whether s has only the characters that SQS allows: those of XML 1.0.
func validText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// validName reports whether n can name a standard queue.
func validName(n Name) bool {
	return arn.IsAccount(n.Account) && n.Region != "" && !strings.Contains(n.Region, "/") && ValidQueueName(n.Name)
}

// ValidQueueName reports whether s has 1 to 80 letters, digits, hyphens and underscores.
func ValidQueueName(s string) bool { return message.ValidName(s, 80) }

// clip shortens a caller's value for quoting.
func clip(s string) string { return fault.Clip(s, 100) }
