package s3

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// reply is an answer that does not stream.
type reply struct {
	status int               // 0: 200
	header map[string]string // under the names that are sent
	body   any               // as XML; nil: none
	json   string            // in place of body
}

// setIDs puts the ids of a request on its answer, under S3's names and under those of the other services.
func setIDs(h http.Header, c wire.Caller) {
	wire.SetIDs(h, c)
	h["x-amz-request-id"] = []string{c.RequestID}
	h["x-amz-id-2"] = []string{hostID}
	h["Server"] = []string{"AmazonS3"}
}

// hostID is what AWS's support would ask for.
const hostID = "shardmill"

// write answers with what an operation returned: a reply, or nil for 204.
func write(w http.ResponseWriter, answer any) {
	a, ok := answer.(reply)
	if !ok {
		a.status = http.StatusNoContent
	}
	for name, value := range a.header {
		w.Header()[name] = []string{value}
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.json != "" {
		wire.WriteBytes(w, a.status, "application/json", []byte(a.json))
		return
	}
	if a.body == nil {
		empty := a.status == http.StatusNoContent || a.status == http.StatusNotModified
		if !empty && w.Header()["Content-Length"] == nil {
			w.Header()["Content-Length"] = []string{"0"}
		}
		w.WriteHeader(a.status)
		return
	}
	wire.WriteBytes(w, a.status, "application/xml", document(a.body))
}

// document returns a value as a document of XML.
func document(v any) []byte {
	b, err := xml.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	return append([]byte(xml.Header), b...)
}

// text is a text in an answer. Characters that XML 1.0 does not have are written as references, as AWS does:
// xml.Marshal would replace them all by one, and two keys would look the same.
type text string

// MarshalXML writes the element.
func (t text) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	var b bytes.Buffer
	for _, r := range string(t) {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff || r == utf8.RuneError:
			b.WriteString("&#x" + strconv.FormatInt(int64(r), 16) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return e.EncodeElement(struct {
		Inner string `xml:",innerxml"`
	}{b.String()}, start)
}

// quoted returns an ETag as it is sent.
func quoted(etag string) string { return `"` + etag + `"` }

// unquoted returns an ETag as it is kept.
func unquoted(etag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(etag), "W/"), `"`)
}

// wanted returns the ETag that a condition of a write asks for; "": it asks for none. An ETag that is empty between its
// quotes is that of no object.
func wanted(etag string) string {
	if v := unquoted(etag); v != "" {
		return v
	}
	return etag
}

// stamp returns an instant in the form of documents, whose times are whole seconds.
func stamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
}

// Refuse answers a fault.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	c := wire.CallerOf(r.Context())
	setIDs(w.Header(), c)
	wire.Hint(w.Header(), f.Hint)
	code, status := f.Code, f.Status
	switch code {
	case fault.CodeNotImplemented:
		code = codeNotImplemented
	case fault.CodeTooLarge:
		code = codeEntityTooLargeXML
		status = http.StatusBadRequest
	}
	if r.Method == http.MethodHead { // whose answers have no body
		w.Header()["Content-Type"] = []string{"application/xml"}
		w.WriteHeader(status)
		return
	}
	e := failure{Code: code, Message: text(wire.Explanation(f)), RequestID: c.RequestID, HostID: hostID}
	if f.Message == "" && code == bucket.CodeInternal {
		e.Message = "We encountered an internal error. Please try again."
	}
	if q, err := parse(r); err == nil {
		e.detail(q, f)
	}
	wire.WriteBytes(w, status, "application/xml", document(e))
}

// failure is a fault as S3 answers it.
type failure struct {
	XMLName    xml.Name `xml:"Error"`
	Code       string
	Message    text
	BucketName text   `xml:",omitempty"`
	Key        text   `xml:",omitempty"`
	UploadID   text   `xml:"UploadId,omitempty"`
	Condition  string `xml:",omitempty"`
	Range      text   `xml:"RangeRequested,omitempty"`
	Resource   text   `xml:",omitempty"`
	RequestID  string `xml:"RequestId"`
	HostID     string `xml:"HostId"`
}

// detail adds what a fault is about.
func (e *failure) detail(q *request, f *fault.Error) {
	switch f.Code {
	case bucket.CodeNoSuchBucket, bucket.CodeBucketExists, bucket.CodeBucketOwned, bucket.CodeBucketNotEmpty,
		bucket.CodeInvalidBucketName, bucket.CodeNoSuchTagSet:
		e.BucketName = text(fault.Clip(cmp.Or(f.Reason, q.bucket), bucket.MaxKey))
	case bucket.CodeNoSuchKey:
		e.Key = text(fault.Clip(cmp.Or(f.Reason, q.key), bucket.MaxKey))
	case bucket.CodeNoSuchUpload:
		e.UploadID = text(fault.Clip(q.query.Get("uploadId"), bucket.MaxKey))
	case bucket.CodePreconditionFailed:
		e.Condition = f.Reason
	case codeInvalidRange:
		e.Range = text(fault.Clip(q.r.Header.Get("Range"), bucket.MaxKey))
	case codeMethodNotAllowed:
		e.Resource = text(fault.Clip(q.r.URL.Path, bucket.MaxKey))
	}
}
