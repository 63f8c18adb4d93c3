package s3

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// Whatever comes in chunks, no more is read than was said, nothing panics, and a body that is taken as whole is as long
// as was said. What we write in chunks ourselves comes back.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n"), int64(3), 2)
	f.Add([]byte("1;chunk-signature=0\r\na\r\n1\r\nb\r\n0\r\n\r\n"), int64(2), 1)
	f.Add([]byte("ffffffffffffffff\r\n"), int64(1), 1)
	f.Add([]byte("-0\r\n\r\n"), int64(0), 1)
	f.Add([]byte("\r\n"), int64(0), 1)
	f.Fuzz(func(t *testing.T, body []byte, size int64, step int) {
		if size < 0 {
			return
		}
		step = 1 + step&63
		c := newChunked(bytes.NewReader(body), size)
		var got []byte
		for buffer := make([]byte, step); ; {
			n, err := c.Read(buffer)
			got = append(got, buffer[:n]...)
			if int64(len(got)) > size {
				t.Fatalf("%d bytes of %d", len(got), size)
			}
			if err != nil {
				//nolint:errorlint // whoever reads a body compares with io.EOF itself
				if errors.Is(err, io.EOF) != (err == io.EOF) || err == io.EOF && int64(len(got)) != size {
					t.Fatalf("%d bytes of %d: %v", len(got), size, err)
				}
				break
			}
		}
		sent := "0\r\n\r\n"
		for from := len(body); from > 0; from -= min(step, from) {
			chunk := body[from-min(step, from) : from]
			sent = hexOf(len(chunk)) + "\r\n" + string(chunk) + "\r\n" + sent
		}
		whole, err := io.ReadAll(newChunked(strings.NewReader(sent), int64(len(body))))
		if err != nil || !bytes.Equal(whole, body) {
			t.Fatalf("%q: %v", whole, err)
		}
	})
}

func hexOf(n int) string {
	return strings.TrimLeft(string("0123456789abcdef"[n>>4])+string("0123456789abcdef"[n&15]), "0")
}

// Whatever a Range header says, what is selected lies within the object and is not empty unless the object is.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5", "bytes=9-", "bytes=9223372036854775807-9223372036854775807", "bytes=-0", ""} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, value string, size int64) {
		if size < 0 {
			return
		}
		from, length, part, err := readRange(value, size)
		switch {
		case err != nil:
		case from < 0 || length < 0 || from > size-length || part && length == 0 || !part && length != size:
			t.Fatalf("%q of %d: %d+%d %v", value, size, from, length, part)
		}
	})
}

// No document panics, and what is taken has its root element and nothing behind it.
func FuzzXML(f *testing.F) {
	f.Add([]byte("<Delete><Object><Key>k</Key></Object></Delete>"))
	f.Add([]byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"))
	f.Add([]byte("<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging><x/>"))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a \"b\">]><Delete>&a;</Delete>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{new(deleteRequest), new(completeRequest), new(taggingDocument), new(createRequest)} {
			if err := parseXML(body, into); err == nil && !bytes.Contains(body, []byte("<")) {
				t.Fatalf("%q is a document", body)
			}
		}
	})
}
