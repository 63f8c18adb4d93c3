package destination

import (
	"strconv"
	"time"

	"github.com/shardmill/shardmill/esm"
)

// Notice is what a destination is sent about discarded records.
type Notice struct {
	RequestID     string // of the last invocation
	FunctionARN   string
	Condition     esm.Condition
	InvokeCount   int // approximateInvokeCount
	StatusCode    int // 0: the records were never given up because of an invocation, and there is no responseContext
	Version       string
	FunctionError string // "": the function reported the failure itself, shown as null
	At            time.Time
	BatchMember   string // for example KinesisBatchInfo
	Batch         []byte // its JSON
	// Payload is the event that the function would have got, as JSON, for destinations that keep it; nil for the
	// others. In the document it is a text, as the Lambda Developer Guide says.
	Payload []byte
}

// Document returns the notice as JSON, with members in AWS's order.
func (n *Notice) Document() []byte {
	b := make([]byte, 0, 512+len(n.Batch)+len(n.Payload)+len(n.Payload)/8)
	b = append(b, `{"requestContext":{"requestId":`...)
	b = appendText(b, n.RequestID)
	b = append(b, `,"functionArn":`...)
	b = appendText(b, n.FunctionARN)
	b = append(b, `,"condition":`...)
	b = appendText(b, n.Condition)
	b = append(b, `,"approximateInvokeCount":`...)
	b = append(strconv.AppendInt(b, int64(n.InvokeCount), 10), '}')
	if n.StatusCode != 0 {
		b = append(b, `,"responseContext":{"statusCode":`...)
		b = strconv.AppendInt(b, int64(n.StatusCode), 10)
		b = append(b, `,"executedVersion":`...)
		b = appendText(b, n.Version)
		b = append(b, `,"functionError":`...)
		if n.FunctionError == "" {
			b = append(b, `null`...)
		} else {
			b = appendText(b, n.FunctionError)
		}
		b = append(b, '}')
	}
	b = append(b, `,"version":"1.0","timestamp":"`...)
	b = n.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `",`...)
	b = appendText(b, n.BatchMember)
	b = append(b, ':')
	b = append(b, n.Batch...)
	if n.Payload != nil {
		b = append(b, `,"payload":`...)
		b = appendText(b, n.Payload)
	}
	return append(b, '}')
}

// appendText appends s, which is UTF-8, as a JSON string. Angle brackets and ampersands stay readable: a notice is not
// put into a web page unescaped.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
