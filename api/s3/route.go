package s3

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// request is one request: whose, and what it is about.
type request struct {
	r           *http.Request
	caller      wire.Caller
	bucket, key string // "": none
	query       url.Values
	home        string // the region of the bucket, where that is not the caller's
	hidden      bool   // the caller may not know which objects there are
}

// operation is a row of the model.
type operation = wire.Operation[*Handler, *request]

// find returns the operation that a request means, or why there is none.
func (h *Handler) find(r *http.Request) (*request, operation, error) {
	q, err := parse(r)
	if err != nil {
		return q, operation{}, err
	}
	name := q.operation()
	if name == "" {
		return q, operation{}, fault.New(codeMethodNotAllowed, "The specified method is not allowed against this resource.").
			WithStatus(http.StatusMethodNotAllowed)
	}
	op, refused := model.Find(name, func(string) *fault.Error { return absent.Operation(name) })
	if refused != nil {
		return q, op, refused
	}
	if err := wire.Permit(r, name); err != nil {
		return q, op, err
	}
	if v := q.query.Get("versionId"); v != "" && v != "null" {
		return q, op, invalid("Invalid version id specified")
	}
	return q, op, checkHeaders(r.Header)
}

// OperationOf returns the name of the operation that a request means; "": none.
func OperationOf(r *http.Request) string {
	q, err := parse(r)
	if err != nil {
		return ""
	}
	return q.operation()
}

// parse finds bucket and key, in the path or in the Host header.
func parse(r *http.Request) (*request, error) {
	q := &request{r: r, caller: wire.CallerOf(r.Context())}
	bad := fault.New(codeInvalidURI, "Couldn't parse the specified URI.")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, bad
	}
	q.query = query
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if q.bucket = HostBucket(wire.HostPrefix(r)); q.bucket == "" {
		q.bucket, path, _ = strings.Cut(path, "/")
		if q.bucket, err = url.PathUnescape(q.bucket); err != nil {
			return q, bad
		}
	}
	if q.key, err = url.PathUnescape(path); err != nil || !utf8.ValidString(q.key) || !utf8.ValidString(q.bucket) {
		return q, bad
	}
	for name, values := range query {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) {
				return q, bad
			}
		}
	}
	return q, nil
}

// HostBucket returns the bucket that a Host header names by what it has in front of one of our names (see
// wire.HostPrefix), as in bucket.localhost or bucket.s3.eu-west-1.localhost; "": it names none.
func HostBucket(name string) string {
	if name == "" || endpoint(name) {
		return ""
	}
	for _, marker := range []string{".s3.", ".s3-"} {
		if i := strings.LastIndex(name, marker); i >= 0 && endpoint(name[i+1:]) {
			return strings.TrimSuffix(name, name[i:])
		}
	}
	return strings.TrimSuffix(name, ".s3")
}

// endpoint reports whether a name is that of S3 itself: s3, s3.region or s3-region.
func endpoint(name string) bool {
	rest, ok := strings.CutPrefix(name, "s3")
	if !ok || rest == "" {
		return ok
	}
	return (rest[0] == '.' || rest[0] == '-') && wire.ValidRegion(rest[1:]) && strings.Count(rest[1:], "-") >= 2
}

// route is a way to name an operation: a method, what it is about, and a parameter that must be there.
type route struct {
	method string
	about  byte // s: the service, b: a bucket, o: an object
	has    string
	name   string
}

// operation returns the name of the operation that a request means; "": none.
func (q *request) operation() string {
	about := byte('s')
	switch {
	case q.bucket != "" && q.key != "":
		about = 'o'
	case q.bucket != "":
		about = 'b'
	}
	method := q.r.Method
	if q.r.Header.Get("X-Amz-Request-Route") != "" {
		return "WriteGetObjectResponse"
	}
	for i := range routes {
		r := &routes[i]
		if r.method != method || r.about != about || r.has != "" && !q.query.Has(r.has) {
			continue
		}
		return q.variant(r.name)
	}
	return ""
}

// variant tells operations apart that have the same method, path and parameter.
func (q *request) variant(name string) string {
	copied := q.r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case name == "PutObject" && copied:
		return "CopyObject"
	case name == "UploadPart" && copied:
		return "UploadPartCopy"
	case name == "ListObjects" && q.query.Get("list-type") == "2":
		return "ListObjectsV2"
	case name == "ListBuckets" && q.query.Get("x-id") == "ListDirectoryBuckets":
		return "ListDirectoryBuckets"
	case q.query.Has("id"):
		switch name {
		case "ListBucketAnalyticsConfigurations", "ListBucketIntelligentTieringConfigurations",
			"ListBucketInventoryConfigurations", "ListBucketMetricsConfigurations":
			return "Get" + strings.TrimSuffix(strings.TrimPrefix(name, "List"), "s")
		}
	}
	return name
}
