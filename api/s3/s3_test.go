package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/storage/memory"
)

// bench is the service behind the shared port.
type bench struct {
	*testing.T
	router *wire.Router
	host   string
}

// answer is an answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func begin(t *testing.T) *bench {
	t.Helper()
	bs, err := bucket.New(bucket.Options{Local: memory.New(memory.Options{}).Local(), Dir: t.TempDir(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := bs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bs.Stop)
	b := &bench{T: t, host: "127.0.0.1:4566", router: &wire.Router{
		Services: []wire.Service{Service(New(Options{Buckets: bs}))}, Unknown: wire.NotHere("s3"),
		Intake: &wire.Intake{Memory: 10 << 20},
	}}
	b.ok(b.do("PUT", "/bbb", ""))
	return b
}

func (b *bench) do(method, target, body string, headers ...string) answer {
	b.Helper()
	r := httptest.NewRequest(method, "http://"+b.host+target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-east-1/s3/aws4_request, "+
		"SignedHeaders=host, Signature=00")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.router.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// get returns a header under the name that is sent.
func (a answer) get(name string) string {
	if v := a.header[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

func (b *bench) ok(a answer) answer {
	b.Helper()
	if a.status >= 300 {
		b.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

// refused fails unless an answer is a fault in S3's shape.
func (b *bench) refused(a answer, status int, code, message string) {
	b.Helper()
	var f struct {
		XMLName                  xml.Name `xml:"Error"`
		Code, Message, RequestId string
	}
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil || a.status != status || f.Code != code ||
		!strings.HasPrefix(f.Message, message) || f.RequestId == "" || f.RequestId != a.get("x-amz-request-id") {
		b.Errorf("%d %.1000s (%v)\nwant %d %s %s", a.status, a.body, err, status, code, message)
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func crc(s string) string {
	return b64(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// F-78: a put with a wrong x-amz-checksum-crc32 is refused as BadDigest and stores nothing; with the right one the
// object comes back byte for byte. The same holds for every digest that S3 knows.
func TestDigestsOfABodyAreVerified(t *testing.T) {
	t.Parallel()
	b := begin(t)
	const body = "123456789"
	sum := md5.Sum([]byte(body))
	for name, right := range map[string]string{
		"x-amz-checksum-crc32": "y/Q5Jg==", "x-amz-checksum-crc32c": "4waSgw==",
		"x-amz-checksum-crc64nvme": "rosUhgp5mIg=", "x-amz-checksum-sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"x-amz-checksum-sha256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "Content-MD5": b64(sum[:]),
	} {
		raw, _ := base64.StdEncoding.DecodeString(right)
		raw[0] ^= 1
		b.refused(b.do("PUT", "/bbb/k", body, name, b64(raw)), 400, "BadDigest", "The ")
		if a := b.do("HEAD", "/bbb/k", ""); a.status != 404 || a.body != "" {
			t.Errorf("after a wrong %s: %d %q", name, a.status, a.body)
		}
		if a := b.do("PUT", "/bbb/k", body, name, "no!"); a.status != 400 {
			t.Errorf("%s that is none: %d", name, a.status)
		}

		a := b.ok(b.do("PUT", "/bbb/k", body, name, right))

		checksum := strings.HasPrefix(name, "x-")
		if a.get("ETag") != `"25f9e794323b453885f5181f1b624d0b"` || checksum && a.get(name) != right {
			t.Errorf("%s: %v", name, a.header)
		}
		a = b.ok(b.do("GET", "/bbb/k", "", "x-amz-checksum-mode", "ENABLED"))
		if a.body != body || checksum && (a.get(name) != right || a.get("x-amz-checksum-type") != "FULL_OBJECT") {
			t.Errorf("%s: %v %q", name, a.header, a.body)
		}
		b.ok(b.do("DELETE", "/bbb/k", ""))
	}
	b.refused(b.do("PUT", "/bbb/k", body, "x-amz-content-sha256", strings.Repeat("0", 64)), 400,
		"XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	b.refused(b.do("PUT", "/bbb/k", body, "x-amz-checksum-crc32", crc(body), "x-amz-checksum-sha1", crc(body)), 400,
		"InvalidRequest", "Expecting a single x-amz-checksum- header.")
	b.refused(b.do("PUT", "/bbb/k", body, "x-amz-sdk-checksum-algorithm", "CRC32"), 400, "InvalidRequest",
		"x-amz-sdk-checksum-algorithm specified, but no corresponding")
}

// Bodies in aws-chunked encoding are taken as SDKs send them: signed or not, with a checksum behind them or not.
func TestChunkedBodies(t *testing.T) {
	t.Parallel()
	b := begin(t)
	const body = "123456789abc"
	sign := ";chunk-signature=" + strings.Repeat("0", 64)
	trailer := "x-amz-checksum-crc32:" + crc(body) + "\r\n"
	put := func(payload, body string, headers ...string) answer {
		return b.do("PUT", "/bbb/k", body, append([]string{
			"x-amz-content-sha256", payload, "Content-Encoding", "gzip,aws-chunked", "x-amz-decoded-content-length", "12",
		}, headers...)...)
	}
	for payload, sent := range map[string]string{
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER":         "5\r\n12345\r\n7\r\n6789abc\r\n0\r\n" + trailer + "\r\n",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD":         "c" + sign + "\r\n" + body + "\r\n0" + sign + "\r\n\r\n",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "C" + sign + "\r\n" + body + "\r\n0" + sign + "\r\n" + trailer + "x-amz-trailer-signature:00\r\n\r\n",
	} {
		var headers []string
		if strings.HasSuffix(payload, "TRAILER") {
			headers = []string{"x-amz-trailer", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "CRC32"}
		}
		a := b.ok(put(payload, sent, headers...))
		if len(headers) > 0 && a.get("x-amz-checksum-crc32") != crc(body) {
			t.Errorf("%s: %v", payload, a.header)
		}
		if a := b.ok(b.do("GET", "/bbb/k", "")); a.body != body || a.get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %q %v", payload, a.body, a.header)
		}
	}
	const unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	announced := []string{"x-amz-trailer", "x-amz-checksum-crc32"}
	for sent, code := range map[string]string{
		"5\r\n12345\r\n7\r\n6789abc\r\n0\r\n\r\n":                         "MalformedTrailerError",
		"c\r\n" + body + "\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n": "BadDigest",
		"c\r\n" + body + "\r\n0\r\nx-amz-checksum-crc32\r\n\r\n":          "MalformedTrailerError",
		"b\r\n" + body[:11] + "\r\n0\r\n\r\n":                             "IncompleteBody",
		"d\r\n" + body + "!\r\n0\r\n\r\n":                                 "IncompleteBody",
		"c\r\n1234":                                                       "IncompleteBody",
		"c":                                                               "IncompleteBody",
		"":                                                                "IncompleteBody",
		"c\r\n" + body + "xx0\r\n\r\n":                                    "InvalidRequest",
		"-1\r\n":                                                          "InvalidRequest",
		"zz\r\n":                                                          "InvalidRequest",
		strings.Repeat("0", 5000) + "c\r\n" + body + "\r\n0\r\n" + trailer + "\r\n": "InvalidRequest",
	} {
		b.refused(put(unsigned, sent, announced...), 400, code, "")
	}
	b.refused(put("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", ""), 501, "NotImplemented", "shardmill does not support the payload")
	b.refused(b.do("PUT", "/bbb/k", "0\r\n\r\n", "x-amz-content-sha256", unsigned), 411, "MissingContentLength", "")
}

// What a client says about an object comes back with it; a read can have other headers.
func TestAttributesComeBack(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "body", "Content-Type", "text/x", "Cache-Control", "no-cache", "Content-Language", "de",
		"Content-Disposition", "inline", "Expires", "never", "x-amz-meta-Color", "blau ä", "x-amz-tagging", "a=1&b=%C3%A4"))
	a := b.ok(b.do("HEAD", "/bbb/k?response-content-type=text/y", ""))
	for name, want := range map[string]string{
		"Content-Type": "text/y", "Cache-Control": "no-cache", "Content-Language": "de", "Content-Disposition": "inline",
		"Expires": "never", "x-amz-meta-color": "blau ä", "x-amz-tagging-count": "2", "Content-Length": "4",
		"Accept-Ranges": "bytes", "ETag": `"841a2d689ad86bd1611447453c22c6fc"`,
	} {
		if got := a.get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if a.body != "" {
		t.Errorf("an answer to HEAD has a body: %q", a.body)
	}
	got := b.ok(b.do("GET", "/bbb/k?tagging", "")).body
	if !strings.Contains(got, "<TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>ä</Value></Tag></TagSet>") {
		t.Error(got)
	}
	b.ok(b.do("PUT", "/bbb/k?tagging", "<Tagging><TagSet><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>"))
	b.ok(b.do("PUT", "/bbb/copy", "", "x-amz-copy-source", "/bbb/k"))
	a = b.ok(b.do("GET", "/bbb/copy", ""))
	if a.get("x-amz-tagging-count") != "1" || a.get("x-amz-meta-color") == "" || a.body != "body" {
		t.Errorf("%v", a.header)
	}
	b.ok(b.do("PUT", "/bbb/k", "", "x-amz-copy-source", "bbb/copy", "x-amz-metadata-directive", "REPLACE",
		"x-amz-tagging-directive", "REPLACE"))
	if a := b.ok(b.do("GET", "/bbb/k", "")); a.get("x-amz-tagging-count") != "" || a.get("x-amz-meta-color") != "" ||
		a.get("Content-Type") != "binary/octet-stream" {
		t.Errorf("%v", a.header)
	}
	b.refused(b.do("PUT", "/bbb/k", "", "x-amz-copy-source", "bbb/k"), 400, "InvalidRequest", "This copy request is illegal")
	b.refused(b.do("PUT", "/bbb/k", "", "x-amz-copy-source", "bbb/none"), 404, "NoSuchKey", "")
	b.refused(b.do("PUT", "/bbb/k", "", "x-amz-meta-x", strings.Repeat("x", 2048)), 400, "MetadataTooLarge", "")
	b.ok(b.do("DELETE", "/bbb/k?tagging", ""))
}

// A read may ask for a range, and only if something holds; a write may, too.
func TestRangesAndConditions(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "0123456789"))
	etag := b.do("HEAD", "/bbb/k", "").get("ETag")
	for asked, want := range map[string]string{
		"bytes=0-0": "206 0 bytes 0-0/10", "bytes=2-": "206 23456789 bytes 2-9/10", "bytes=-3": "206 789 bytes 7-9/10",
		"bytes=5-99": "206 56789 bytes 5-9/10", "bytes=-99": "206 0123456789 bytes 0-9/10", "bytes=3-2": "200 0123456789 ",
		"bytes=0-1,3-4": "200 0123456789 ", "lines=1-2": "200 0123456789 ", "bytes=a-b": "200 0123456789 ",
	} {
		a := b.do("GET", "/bbb/k", "", "Range", asked)
		if got := fmt.Sprint(a.status, " ", a.body, " ", a.get("Content-Range")); got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
	for _, asked := range []string{"bytes=10-", "bytes=99-100", "bytes=-0"} {
		a := b.do("GET", "/bbb/k", "", "Range", asked)
		b.refused(a, 416, "InvalidRange", "The requested range is not satisfiable")
		if !strings.Contains(a.body, "<RangeRequested>"+asked+"</RangeRequested>") {
			t.Error(a.body)
		}
	}
	const past, future = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"If-Match", etag, 200},
		{"If-Match", `"x", ` + etag, 200},
		{"If-Match", "*", 200},
		{"If-Match", `"x"`, 412},
		{"If-None-Match", etag, 304},
		{"If-None-Match", "*", 304},
		{"If-None-Match", `"x"`, 200},
		{"If-Modified-Since", past, 200},
		{"If-Modified-Since", future, 304},
		{"If-Modified-Since", "x", 200},
		{"If-Unmodified-Since", past, 412},
		{"If-Unmodified-Since", future, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := b.do(method, "/bbb/k", "", c.header, c.value)
			if a.status != c.status || a.status == 304 && (a.body != "" || a.get("ETag") != etag) {
				t.Errorf("%s with %s %s: %d %q %v", method, c.header, c.value, a.status, a.body, a.header)
			}
		}
	}
	b.refused(b.do("PUT", "/bbb/k", "x", "If-None-Match", "*"), 412, "PreconditionFailed", "At least one of the pre-conditions")
	b.refused(b.do("PUT", "/bbb/k", "x", "If-Match", `"x"`), 412, "PreconditionFailed", "")
	b.refused(b.do("PUT", "/bbb/new", "x", "If-Match", etag), 404, "NoSuchKey", "")
	b.refused(b.do("PUT", "/bbb/k", "x", "If-None-Match", etag), 501, "NotImplemented", "")
	b.ok(b.do("PUT", "/bbb/new", "x", "If-None-Match", "*"))
	b.ok(b.do("PUT", "/bbb/k", "x", "If-Match", etag))
	b.refused(b.do("DELETE", "/bbb/k", "", "If-Match", etag), 412, "PreconditionFailed", "")
}

// Every key of up to 1,024 bytes of UTF-8 is a key of its own, also those that look like paths, and comes back in
// lists.
func TestKeysAreAnyText(t *testing.T) {
	t.Parallel()
	b := begin(t)
	keys := []string{
		"../../etc/passwd", "a/../b", "/", "//", ".", "..", "a b+c%20d", "ä€😀", "\x01\x00\r\n", "&<>\"'", "?x=y#z",
		strings.Repeat("k", 1024), "\ufffe\uffff",
	}
	var escaped []string
	for _, k := range keys {
		e := ""
		for i := range len(k) {
			e += fmt.Sprintf("%%%02x", k[i])
		}
		escaped = append(escaped, e)
		b.ok(b.do("PUT", "/bbb/"+e, k))
	}
	for i, e := range escaped {
		if a := b.ok(b.do("GET", "/bbb/"+e, "")); a.body != keys[i] {
			t.Errorf("%q holds %q", keys[i], a.body)
		}
	}
	list := b.ok(b.do("GET", "/bbb?list-type=2&encoding-type=url", "")).body
	n := strings.Count(list, "<Contents>")
	if n != len(keys) || !strings.Contains(list, "<Key>a%20b%2Bc%2520d</Key>") ||
		!strings.Contains(list, "<Key>%01%00%0D%0A</Key>") {
		t.Errorf("%d keys: %s", n, list)
	}
	list = b.ok(b.do("GET", "/bbb?list-type=2", "")).body
	if !strings.Contains(list, "<Key>&#x1;&#x0;&#xd;&#xa;</Key>") ||
		!strings.Contains(list, "<Key>&amp;&lt;&gt;&quot;'</Key>") {
		t.Error(list)
	}
	b.refused(b.do("PUT", "/bbb/"+strings.Repeat("k", 1025), ""), 400, "KeyTooLongError", "Your key is too long")
	b.refused(b.do("PUT", "/bbb/%ff", ""), 400, "InvalidURI", "")
	b.refused(b.do("GET", "/bbb?prefix=%ff", ""), 400, "InvalidURI", "")
}

// Lists come in pages, and what follows a delimiter is one group.
func TestLists(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for _, k := range []string{"a", "d/1", "d/2", "d/e/3", "f", "g/1"} {
		b.ok(b.do("PUT", "/bbb/"+k, k))
	}
	type page struct {
		IsTruncated                       bool
		KeyCount, MaxKeys                 int
		NextContinuationToken, NextMarker string
		Contents                          []struct{ Key string }
		CommonPrefixes                    []struct{ Prefix string }
	}
	all := func(query, next string, token func(*page) string) (out string) {
		for from := ""; ; {
			var p page
			a := b.ok(b.do("GET", "/bbb?"+query+from, ""))
			if err := xml.Unmarshal([]byte(a.body), &p); err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Contents {
				out += c.Key + " "
			}
			for _, c := range p.CommonPrefixes {
				out += c.Prefix + " "
			}
			out += "| "
			if !p.IsTruncated {
				return out
			}
			from = next + token(&p)
		}
	}
	v2 := func(query string) string {
		token := func(p *page) string { return p.NextContinuationToken }
		return all("list-type=2&"+query, "&continuation-token=", token)
	}
	v1 := func(query string) string {
		return all(query, "&marker=", func(p *page) string {
			if p.NextMarker == "" {
				return p.Contents[len(p.Contents)-1].Key
			}
			return p.NextMarker
		})
	}
	for _, c := range []struct{ query, want string }{
		{"", "a d/1 d/2 d/e/3 f g/1 | "},
		{"delimiter=/", "a f d/ g/ | "},
		{"prefix=d/&delimiter=/", "d/1 d/2 d/e/ | "},
		{"max-keys=2", "a d/1 | d/2 d/e/3 | f g/1 | "},
		{"max-keys=1&delimiter=/", "a | d/ | f | g/ | "},
		{"prefix=x", "| "},
		{"max-keys=0", "| "},
		{"prefix=d/&max-keys=2&delimiter=/", "d/1 d/2 | d/e/ | "},
	} {
		if got := v2(c.query); got != c.want {
			t.Errorf("V2 %s: %q, want %q", c.query, got, c.want)
		}
		if got := v1(c.query); got != c.want {
			t.Errorf("V1 %s: %q, want %q", c.query, got, c.want)
		}
	}
	if got := v2("start-after=d/1&delimiter=/"); got != "f d/ g/ | " {
		t.Errorf("behind d/1: %q", got)
	}
	b.refused(b.do("GET", "/bbb?list-type=2&continuation-token=x", ""), 400, "InvalidArgument", "The continuation token provided is incorrect")
	b.refused(b.do("GET", "/bbb?max-keys=x", ""), 400, "InvalidArgument", "Provided max-keys not an integer")
	b.refused(b.do("GET", "/none?list-type=2", ""), 404, "NoSuchBucket", "The specified bucket does not exist")

	const document = "<Delete><Object><Key>d/1</Key></Object><Object><Key>none</Key></Object></Delete>"
	a := b.ok(b.do("POST", "/bbb?delete", document, "x-amz-checksum-crc32", crc(document)))
	if strings.Count(a.body, "<Deleted>") != 2 || v2("prefix=d/") != "d/2 d/e/3 | " {
		t.Error(a.body)
	}
	b.refused(b.do("POST", "/bbb?delete", "<Delete/>"), 400, "InvalidRequest", "Missing required header for this request: Content-MD5")
	b.refused(b.do("POST", "/bbb?delete", "<Delete", "x-amz-checksum-crc32", crc("<Delete")), 400, "MalformedXML", "The XML you provided")
}

// A bucket is made once, belongs to all regions, and goes when it is empty.
func TestLifeOfABucket(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb", "")) // in us-east-1 this changes nothing
	const europe = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint><Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags></CreateBucketConfiguration>"
	b.ok(b.do("PUT", "/europe", europe))
	b.refused(b.do("PUT", "/europe", europe), 409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded")
	other := []string{"Authorization", "AWS4-HMAC-SHA256 Credential=444455556666/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"}
	b.refused(b.do("PUT", "/bbb", "", other...), 409, "BucketAlreadyExists", "The requested bucket name is not available.")
	got := b.ok(b.do("GET", "/europe?location", "")).body
	if !strings.HasSuffix(got, ">eu-west-1</LocationConstraint>") {
		t.Error(got)
	}
	if got := b.ok(b.do("GET", "/bbb?location", "")).body; !strings.HasSuffix(got, "/\"></LocationConstraint>") {
		t.Error(got)
	}
	if a := b.ok(b.do("HEAD", "/europe", "")); a.get("x-amz-bucket-region") != "eu-west-1" {
		t.Errorf("%v", a.header)
	}
	// a bucket is used with the region that it is in, and whoever asks with another is told it
	a := b.do("GET", "/europe?tagging", "")
	b.refused(a, 400, "AuthorizationHeaderMalformed",
		"The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'")
	if a.get("x-amz-bucket-region") != "eu-west-1" {
		t.Errorf("%v", a.header)
	}
	there := []string{"Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00"}
	if got := b.ok(b.do("GET", "/europe?tagging", "", there...)).body; !strings.Contains(got, "<Key>k</Key>") {
		t.Error(got)
	}
	b.ok(b.do("DELETE", "/europe?tagging", "", there...))
	b.refused(b.do("GET", "/europe?tagging", "", there...), 404, "NoSuchTagSet", "The TagSet does not exist")
	got = b.ok(b.do("GET", "/?max-buckets=1", "")).body
	if strings.Count(got, "<Bucket>") != 1 || !strings.Contains(got, "<ContinuationToken>") {
		t.Error(got)
	}
	if got := b.ok(b.do("GET", "/", "", other...)).body; strings.Contains(got, "<Bucket>") {
		t.Error(got)
	}
	for _, name := range []string{
		"aa", "Upper", "a..b", "-ab", "ab-", "192.168.1.1", "xn--abc", "a_b", strings.Repeat("x", 64),
	} {
		b.refused(b.do("PUT", "/"+name, ""), 400, "InvalidBucketName", "The specified bucket is not valid.")
	}
	b.refused(b.do("HEAD", "/europe", "", "x-amz-expected-bucket-owner", "444455556666").asError(), 403, "AccessDenied", "")
	b.ok(b.do("PUT", "/bbb/k", ""))
	b.refused(b.do("DELETE", "/bbb", ""), 409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	b.ok(b.do("DELETE", "/bbb/k", ""))
	b.ok(b.do("POST", "/bbb/k?uploads", ""))
	b.ok(b.do("DELETE", "/bbb", ""))
	b.refused(b.do("GET", "/bbb/k", ""), 404, "NoSuchBucket", "The specified bucket does not exist")
}

// asError gives an answer to HEAD the body that one to GET would have.
func (a answer) asError() answer {
	if a.body == "" && a.status == 403 {
		a.body = "<Error><Code>AccessDenied</Code><RequestId>" + a.get("x-amz-request-id") + "</RequestId></Error>"
	}
	return a
}

// The bucket may be in the Host header.
func TestVirtualHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost:4566": "", "127.0.0.1:4566": "", "[::1]:4566": "", "bbb.localhost:4566": "bbb", "s3.localhost:4566": "",
		"bbb.s3.localhost:4566": "bbb", "bbb.s3.eu-west-1.localhost:4566": "bbb", "s3.eu-west-1.localhost": "",
		"my.bbb.s3.us-east-1.localhost": "my.bbb", "a.b.localhost": "a.b", "s3-eu-west-1.localhost": "", "BBB.localhost": "bbb",
		"s3.bbb.localhost": "s3.bbb", "bbb.s3-us-gov-west-1.localhost": "bbb",
	} {
		if got := HostBucket((*wire.Hosts)(nil).Prefix(host)); got != want {
			t.Errorf("%s names %q, want %q", host, got, want)
		}
	}
	b := begin(t)
	b.host = "bbb.localhost:4566"
	b.ok(b.do("PUT", "/a/b", "body"))
	b.host = "127.0.0.1:4566"
	if a := b.ok(b.do("GET", "/bbb/a/b", "")); a.body != "body" {
		t.Error(a.body)
	}
	b.host = "bbb.example.com:4566"
	if a := b.do("GET", "/a/b", ""); a.status != 421 {
		t.Errorf("a name that somebody can own: %d", a.status)
	}
}

// What nobody can configure here is answered as on a bucket where nobody has; what would have to be executed is refused
// by name, never ignored.
func TestWhatIsNotHere(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for query, want := range map[string]string{
		"versioning": "<VersioningConfiguration ", "acl": "FULL_CONTROL", "policy": "NoSuchBucketPolicy",
		"lifecycle": "NoSuchLifecycleConfiguration", "cors": "NoSuchCORSConfiguration", "logging": "<BucketLoggingStatus ",
		"encryption": "ServerSideEncryptionConfigurationNotFoundError", "requestPayment": "<Payer>BucketOwner</Payer>",
		"publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "object-lock": "ObjectLockConfigurationNotFoundError",
		"metrics": "<IsTruncated>false</IsTruncated>", "metrics&id=x": "NoSuchConfiguration", "website": "NoSuchWebsiteConfiguration",
		"replication": "ReplicationConfigurationNotFoundError", "accelerate": "<AccelerateConfiguration ",
		"notification": "<NotificationConfiguration ", "ownershipControls": "OwnershipControlsNotFoundError",
	} {
		a := b.do("GET", "/bbb?"+query, "")
		if isFault := strings.Contains(a.body, "<Error>"); isFault != (a.status == 404) {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
		if !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s, want %s", query, a.status, a.body, want)
		}
		b.refused(b.do("GET", "/none?"+query, ""), 404, "NoSuchBucket", "")
	}
	for request, operation := range map[string]string{
		"PUT /bbb?versioning": "PutBucketVersioning", "PUT /bbb?lifecycle": "PutBucketLifecycleConfiguration",
		"GET /bbb?versions": "ListObjectVersions", "POST /bbb/k?select&select-type=2": "SelectObjectContent",
		"PUT /bbb/k?retention": "PutObjectRetention", "GET /bbb?session": "CreateSession", "PUT /bbb/k?acl": "PutObjectAcl",
	} {
		method, target, _ := strings.Cut(request, " ")
		b.refused(b.do(method, target, ""), 501, "NotImplemented", "shardmill does not implement s3 "+operation+" yet")
	}
	for _, header := range []string{
		"x-amz-server-side-encryption", "x-amz-object-lock-mode", "x-amz-grant-read", "x-amz-website-redirect-location",
		"x-amz-checksum-md5", "x-amz-write-offset-bytes",
	} {
		b.refused(b.do("PUT", "/bbb/k", "x", header, "x"), 501, "NotImplemented", "shardmill does not support the header "+header)
	}
	b.refused(b.do("PUT", "/bbb/k", "x", "x-amz-storage-class", "GLACIER"), 501, "NotImplemented", "")
	b.refused(b.do("PUT", "/bbb/k", "x", "x-amz-acl", "public-read"), 501, "NotImplemented", "")
	b.ok(b.do("PUT", "/bbb/k", "x", "x-amz-acl", "private", "x-amz-storage-class", "STANDARD"))
	b.refused(b.do("GET", "/bbb/k?versionId=x", ""), 400, "InvalidArgument", "Invalid version id specified")
	b.refused(b.do("PATCH", "/bbb/k", ""), 405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	b.refused(b.do("POST", "/bbb", "x"), 405, "MethodNotAllowed", "")
}

// A large object passes through: it may be larger than all that bodies may hold.
func TestAnObjectMayBeLargerThanTheMemoryOfBodies(t *testing.T) {
	t.Parallel()
	b := begin(t)
	body := strings.Repeat("0123456789abcdef", 2<<16)
	b.router.Intake.Memory = 512 << 10
	b.ok(b.do("PUT", "/bbb/k", body))
	if a := b.ok(b.do("GET", "/bbb/k", "")); a.body != body {
		t.Errorf("%d bytes came back", len(a.body))
	}
	b.refused(b.do("POST", "/bbb?delete", body, "Content-MD5", b64(make([]byte, 16))), 503, "ServiceUnavailable", "")
}

// The page lists what is refused.
func TestThePageListsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	var served []string
	for name := range model.Served {
		served = append(served, name)
	}
	wiretest.Listed(t, "s3", served, strings.Fields(model.Others))
	for _, r := range routes {
		if _, ok := model.Served[r.name]; !ok && !strings.Contains(" "+model.Others+" ", " "+r.name+" ") {
			t.Errorf("%s is in no model", r.name)
		}
	}
}

// A body that ends early stores nothing.
func TestABodyThatEndsEarlyStoresNothing(t *testing.T) {
	t.Parallel()
	b := begin(t)
	body := io.MultiReader(bytes.NewReader(make([]byte, 300_000)), broken{})
	r := httptest.NewRequest("PUT", "http://127.0.0.1/bbb/k", body)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-east-1/s3/aws4_request")
	w := httptest.NewRecorder()
	b.router.ServeHTTP(w, r)
	b.refused(
		answer{w.Code, w.Header(), w.Body.String()}, 400, "IncompleteBody", "You did not provide the number of bytes",
	)
	b.refused(b.do("GET", "/bbb/k", ""), 404, "NoSuchKey", "The specified key does not exist.")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
