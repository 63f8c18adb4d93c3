package wire

import (
	"encoding/binary"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Content types of CBOR: that of Smithy RPC v2, and the older one that goes with X-Amz-Target.
const (
	typeRPCv2    = "application/cbor"
	typeAWSCBOR  = "application/x-amz-cbor-1.1"
	smithyHeader = "Smithy-Protocol"
	rpcv2        = "rpc-v2-cbor"
)

// cborOf returns the content type of a client that speaks CBOR; "": r's does not.
func cborOf(r *http.Request) string {
	if r.Header.Get(smithyHeader) == rpcv2 {
		return typeRPCv2
	}
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(contentType) == typeAWSCBOR {
		return typeAWSCBOR
	}
	return ""
}

// RefuseUnrouted answers a fault of a request that no service has read, in the protocol that its client speaks, as far
// as that can be told from the request alone.
func RefuseUnrouted(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	c := CallerOf(r.Context())
	if c.RequestID == "" {
		c = ReadCaller(r, nil)
	}
	SetIDs(w.Header(), c)
	FaultHeader(w.Header(), f)
	text := Explanation(f)
	contentType := cborOf(r)
	action, _ := formOf(r)
	switch service := c.Service; {
	case contentType != "":
		if contentType == typeRPCv2 {
			w.Header()["smithy-protocol"] = []string{rpcv2} // some SDKs compare the case
		}
		WriteBytes(w, f.Status, contentType, cborError(f.Code, text))
	case service == "ec2" || service == "sdb":
		writeXML(w, f.Status, ec2Error{Code: f.Code, Message: text, RequestID: c.RequestID})
	case action != "" || service == "cloudfront" || service == "route53":
		side := "Sender"
		if f.Status >= http.StatusInternalServerError && f.Status != http.StatusNotImplemented {
			side = "Receiver"
		}
		writeXML(w, f.Status, queryError{Type: side, Code: f.Code, Message: text, RequestID: c.RequestID})
	case service == "s3":
		code := f.Code
		if code == fault.CodeNotImplemented {
			code = "NotImplemented"
		}
		writeXML(w, f.Status, s3Error{Code: code, Message: text, RequestID: c.RequestID})
	default:
		w.Header()["X-Amzn-Errortype"] = []string{f.Code} // clients of REST protocols read the code here alone
		WriteJSON(w, f.Status, "application/json", map[string]string{"__type": f.Code, "message": text})
	}
}

type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	RequestID string `xml:"RequestId"`
}

// ec2Error is how Amazon EC2 and SimpleDB answer.
type ec2Error struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
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
