package wire

import (
	"encoding/binary"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// NotHere refuses services that are not among those named in have, by name, with 501, which SDKs do not try again. The
// answer is in the protocol of the request.
func NotHere(have ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := CallerOf(r.Context())
		SetIDs(w.Header(), c)
		text := "shardmill does not have the service " + clip(c.Service) + "; it has " + strings.Join(have, ", ") +
			". See docs/compat/README.md."
		action, _ := formOf(r)
		switch {
		case r.Header.Get("Smithy-Protocol") != "":
			w.Header()["smithy-protocol"] = []string{"rpc-v2-cbor"} // some SDKs compare the case
			WriteBytes(w, http.StatusNotImplemented, "application/cbor", cborError(fault.CodeNotImplemented, text))
		case action != "":
			writeXML(w, http.StatusNotImplemented, queryError{
				Type: "Sender", Code: fault.CodeNotImplemented, Message: text, RequestID: c.RequestID,
			})
		case c.Service == "s3":
			writeXML(w, http.StatusNotImplemented, s3Error{
				Code: "NotImplemented", Message: text, RequestID: c.RequestID,
			})
		default:
			w.Header().Set("X-Amzn-Errortype", fault.CodeNotImplemented)
			WriteJSON(w, http.StatusNotImplemented, "application/json", map[string]string{
				"__type": fault.CodeNotImplemented, "message": text,
			})
		}
	})
}

type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	RequestID string `xml:"RequestId"`
}

// cborError returns a map of two texts.
func cborError(code, message string) []byte {
	b := []byte{0xa2}
	for _, s := range []string{"__type", code, "message", message} {
		b = append(b, 0x79) // a text with its length in two bytes
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}
