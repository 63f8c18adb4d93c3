package s3

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
)

// An object can be uploaded in parts, also from other objects, listed meanwhile, completed and given up.
func TestUploadInParts(t *testing.T) {
	t.Parallel()
	b := begin(t)
	begun := func(key string, headers ...string) string {
		var made struct{ UploadId string }
		a := b.ok(b.do("POST", "/bbb/"+key+"?uploads", "", headers...))
		if err := xml.Unmarshal([]byte(a.body), &made); err != nil {
			t.Fatal(err)
		}
		return made.UploadId
	}
	id := begun("big", "x-amz-checksum-algorithm", "CRC32", "Content-Type", "a/b")
	part := func(n int) string { return fmt.Sprintf("/bbb/big?partNumber=%d&uploadId=%s", n, id) }
	large := strings.Repeat("0123456789", 6<<20/10)
	one := b.ok(b.do("PUT", part(1), large, "x-amz-checksum-crc32", crc(large)))
	b.ok(b.do("PUT", "/bbb/source", "the very end"))
	copied := b.ok(b.do("PUT", part(2), "", "x-amz-copy-source", "bbb/source", "x-amz-copy-source-range", "bytes=4-7"))
	var two struct{ ETag, ChecksumCRC32 string }
	if err := xml.Unmarshal([]byte(copied.body), &two); err != nil || two.ChecksumCRC32 != crc("very") {
		t.Errorf("%v %s", err, copied.body)
	}
	b.refused(b.do("PUT", part(2), "", "x-amz-copy-source", "bbb/source", "x-amz-copy-source-range", "bytes=4-12"), 400,
		"InvalidArgument", "Range specified is not valid for source object of size: 12")
	b.refused(b.do("PUT", part(1), "x", "x-amz-checksum-sha1", "98O8HYCOBHMqCZlXZHA3SdsGHrs="), 400, "InvalidRequest",
		"Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha1")
	b.refused(b.do("PUT", part(10_001), "x"), 400, "InvalidArgument", "Part number must be an integer between 1 and 10000")

	if got := b.ok(b.do("GET", "/bbb/big?uploadId="+id+"&max-parts=1", "")).body; !strings.Contains(got,
		"<PartNumber>1</PartNumber>") || !strings.Contains(got, "<NextPartNumberMarker>1</NextPartNumberMarker>") ||
		!strings.Contains(got, "<IsTruncated>true</IsTruncated>") {
		t.Error(got)
	}
	other := begun("other")
	if got := b.ok(b.do("GET", "/bbb?uploads&prefix=o", "")).body; !strings.Contains(got, other) ||
		strings.Contains(got, id) {
		t.Error(got)
	}
	b.ok(b.do("DELETE", "/bbb/other?uploadId="+other, ""))
	b.refused(b.do("DELETE", "/bbb/other?uploadId="+other, ""), 404, "NoSuchUpload", "The specified upload does not exist.")

	document := func(parts ...string) string {
		text := "<CompleteMultipartUpload>"
		for i := 0; i < len(parts); i += 2 {
			text += "<Part><ETag>" + parts[i+1] + "</ETag><PartNumber>" + parts[i] + "</PartNumber></Part>"
		}
		return text + "</CompleteMultipartUpload>"
	}
	complete := func(document string, headers ...string) answer {
		return b.do("POST", "/bbb/big?uploadId="+id, document, headers...)
	}
	first := one.get("ETag")
	b.refused(complete(document("2", two.ETag, "1", first)), 400, "InvalidPartOrder", "The list of parts was not in ascending")
	b.refused(complete(document("1", two.ETag)), 400, "InvalidPart", "One or more of the specified parts could not be found.")
	b.refused(complete(document("2", two.ETag, "3", first)), 400, "EntityTooSmall", "")
	b.refused(complete(document()), 400, "MalformedXML", "")
	b.refused(complete("<Complete/>"), 400, "MalformedXML", "")
	b.refused(complete(document("1", first), "x-amz-mp-object-size", "7"), 400, "InvalidRequest", "")
	b.refused(complete(document("1", first), "x-amz-checksum-crc32", crc("x")), 400, "BadDigest", "")
	b.refused(complete(document("1", first), "If-Match", `"x"`), 404, "NoSuchKey", "")
	a := b.ok(complete(document("1", first, "2", strings.Trim(two.ETag, `"`)), "x-amz-mp-object-size", "6291454"))
	if !strings.Contains(a.body, "-2&#34;</ETag>") ||
		!strings.Contains(a.body, "<ChecksumType>COMPOSITE</ChecksumType>") {
		t.Error(a.body)
	}

	if a := b.ok(b.do("HEAD", "/bbb/big", "", "x-amz-checksum-mode", "ENABLED")); a.get("x-amz-checksum-type") != "COMPOSITE" ||
		!strings.HasSuffix(a.get("x-amz-checksum-crc32"), "-2") {
		t.Errorf("%v", a.header)
	}
	a = b.ok(b.do("GET", "/bbb/big?partNumber=2", ""))
	if a.status != 206 || a.body != "very" || a.get("Content-Range") != "bytes 6291450-6291453/6291454" ||
		a.get("x-amz-mp-parts-count") != "2" || a.get("Content-Type") != "a/b" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	b.refused(b.do("GET", "/bbb/big?partNumber=3", ""), 416, "InvalidPartNumber", "")
	if a := b.ok(b.do("GET", "/bbb/big", "", "Range", "bytes=6291448-6291451")); a.body != "89ve" {
		t.Errorf("%q", a.body)
	}
	got := b.ok(b.do(
		"GET", "/bbb/big?attributes", "", "x-amz-object-attributes", "ETag,ObjectParts,ObjectSize,Checksum",
	)).body
	if !strings.Contains(got, "<PartsCount>2</PartsCount>") || !strings.Contains(got, "<ObjectSize>6291454</ObjectSize>") {
		t.Error(got)
	}
}
