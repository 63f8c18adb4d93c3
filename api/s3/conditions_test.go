package s3

import (
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// Of two conditions, the one on the ETag decides; times are compared in whole seconds, as headers have them. RFC 9110,
// section 13.2.2.
func TestConditionsOnETagsComeFirst(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "0123456789"))
	head := b.do("HEAD", "/bbb/k", "")
	etag, modified := head.get("ETag"), head.get("Last-Modified")
	const past, future = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"If-Match", etag, "If-Unmodified-Since", past}, 200},
		{[]string{"If-None-Match", `"x"`, "If-Modified-Since", future}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", past}, 304},
		{[]string{"If-Modified-Since", modified}, 304},
		{[]string{"If-Unmodified-Since", modified}, 200},
	} {
		if a := b.do("GET", "/bbb/k", "", c.headers...); a.status != c.status {
			t.Errorf("%q: %d, want %d", c.headers, a.status, c.status)
		}
	}
}

// An ETag that is empty is that of no object: a write on that condition is not one without a condition.
func TestAnEmptyETagMatchesNothing(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "old"))
	b.refused(b.do("PUT", "/bbb/k", "new", "If-Match", `""`), 412, "PreconditionFailed", "")
	b.refused(b.do("DELETE", "/bbb/k", "", "If-Match", `""`), 412, "PreconditionFailed", "")
	const document = `<Delete><Object><Key>k</Key><ETag>""</ETag></Object></Delete>`
	a := b.ok(b.do("POST", "/bbb?delete", document, "x-amz-checksum-crc32", crc(document)))
	if !strings.Contains(a.body, "<Code>PreconditionFailed</Code>") || strings.Contains(a.body, "<Deleted>") {
		t.Error(a.body)
	}
	if a := b.ok(b.do("GET", "/bbb/k", "")); a.body != "old" {
		t.Errorf("it is %q", a.body)
	}
}

// A checksum is that of the object, so that an answer with a part of it has none.
func TestChecksumsComeWithTheWholeObject(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "0123456789", "x-amz-checksum-crc32", crc("0123456789")))
	for asked, want := range map[string]string{
		"": crc("0123456789") + " FULL_OBJECT", "bytes=0-": crc("0123456789") + " FULL_OBJECT", "bytes=0-8": " ",
		"bytes=1-": " ",
	} {
		headers := []string{"x-amz-checksum-mode", "ENABLED"}
		if asked != "" {
			headers = append(headers, "Range", asked)
		}
		a := b.ok(b.do("GET", "/bbb/k", "", headers...))
		if got := a.get("x-amz-checksum-crc32") + " " + a.get("x-amz-checksum-type"); got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
	if a := b.ok(b.do("GET", "/bbb/k", "")); a.get("x-amz-checksum-crc32") != "" {
		t.Error("nobody asked for it")
	}
}

// A copy whose source belongs to another account than the caller expects is refused.
func TestTheOwnerOfASourceIsChecked(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", "x"))
	from := []string{"x-amz-copy-source", "bbb/k", "x-amz-source-expected-bucket-owner"}
	b.refused(b.do("PUT", "/bbb/copy", "", append(from, "444455556666")...), 403, "AccessDenied", "Access Denied")
	b.ok(b.do("PUT", "/bbb/copy", "", append(from, "111122223333")...))
}

// A copy of what is not there names the source, not the copy.
func TestAMissingSourceIsNamed(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for source, want := range map[string]string{
		"bbb/none": "<Key>none</Key>", "none/k": "<BucketName>none</BucketName>",
	} {
		a := b.do("PUT", "/bbb/copy", "", "x-amz-copy-source", source)
		if a.status != 404 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", source, a.status, a.body)
		}
	}
	if a := b.do("GET", "/bbb/copy", ""); !strings.Contains(a.body, "<Key>copy</Key>") {
		t.Error(a.body)
	}
}

// A document has one element and nothing behind it but white space and comments.
func TestADocumentHasOneElement(t *testing.T) {
	t.Parallel()
	b := begin(t)
	const one = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
	for _, behind := range []string{one, "<x/>", "x", "<", "&lt;"} {
		b.refused(b.do("PUT", "/bbb?tagging", one+behind), 400, "MalformedXML", "")
	}
	b.ok(b.do("PUT", "/bbb?tagging", one+"\n <!-- the end -->\n"))
}

// Clients of the first list go on at NextMarker, which every page that is cut has as soon as there is a delimiter.
func TestACutListSaysWhereItGoesOn(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for _, k := range []string{"a", "b", "d/1", "e"} {
		b.ok(b.do("PUT", "/bbb/"+k, ""))
	}
	for query, want := range map[string]string{
		"max-keys=1&delimiter=/": "<NextMarker>a</NextMarker>", "max-keys=3&delimiter=/": "<NextMarker>d/</NextMarker>",
		"max-keys=1": "", "max-keys=4&delimiter=/": "",
	} {
		got := b.ok(b.do("GET", "/bbb?"+query, "")).body
		if !strings.Contains(got, want) || want == "" && strings.Contains(got, "NextMarker") {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// A quiet deletion answers with what it could not delete, and with nothing else.
func TestAQuietDeletionNamesWhatStays(t *testing.T) {
	t.Parallel()
	b := begin(t)
	b.ok(b.do("PUT", "/bbb/k", ""))
	const document = "<Delete><Object><Key>k</Key><VersionId>v</VersionId></Object><Object><Key>none</Key></Object>" +
		"<Quiet>true</Quiet></Delete>"
	a := b.ok(b.do("POST", "/bbb?delete", document, "x-amz-checksum-crc32", crc(document)))
	if strings.Contains(a.body, "<Deleted>") || strings.Count(a.body, "<Error>") != 1 ||
		!strings.Contains(a.body, "<Key>k</Key><Code>NoSuchVersion</Code>") {
		t.Error(a.body)
	}
	b.ok(b.do("GET", "/bbb/k", ""))
}

// unread is a body that nobody should ask for.
type unread struct{ *testing.T }

func (b unread) Read([]byte) (int, error) {
	b.Error("the body is read")
	return 0, io.EOF
}

// What says that it is too large is refused before a byte of it is read.
func TestTooLargeABodyIsNotRead(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for _, headers := range []map[string]string{
		{"Content-Length": "5368709121"},
		{
			"Content-Length": "5368709999", "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"X-Amz-Decoded-Content-Length": "5368709121",
		},
	} {
		r := httptest.NewRequest("PUT", "http://"+b.host+"/bbb/k", unread{t})
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-east-1/s3/aws4_request, "+
			"SignedHeaders=host, Signature=00")
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		r.ContentLength, _ = strconv.ParseInt(headers["Content-Length"], 10, 64)
		w := httptest.NewRecorder()
		b.router.ServeHTTP(w, r)
		b.refused(answer{w.Code, w.Header(), w.Body.String()}, 400, "EntityTooLarge", "Your proposed upload exceeds")
	}
}
