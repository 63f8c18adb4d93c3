package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The two examples of S3's API Reference ("Signature calculations for the Authorization header: transferring a payload
// in multiple chunks") verify, and nothing else does.
func TestTheChunksOfAWSsExamplesVerify(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for digest, c := range map[string]struct {
		seed, names string
		header      http.Header
		chunks      [3]string // of 65,536 bytes, of 1,024, of none
		trailer     string
	}{
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": {
			seed:  "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			names: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			header: http.Header{
				"Content-Encoding": {"aws-chunked"}, "Content-Length": {"66824"},
				"X-Amz-Decoded-Content-Length": {"66560"}, "X-Amz-Storage-Class": {"REDUCED_REDUNDANCY"},
			},
			chunks: [3]string{
				"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
			},
		},
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": {
			seed:  "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			names: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			header: http.Header{
				"Content-Encoding": {"aws-chunked"}, "X-Amz-Trailer": {"x-amz-checksum-crc32c"},
				"X-Amz-Decoded-Content-Length": {"66560"}, "X-Amz-Storage-Class": {"REDUCED_REDUNDANCY"},
			},
			chunks: [3]string{
				"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			},
			trailer: "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
		},
	} {
		r := &http.Request{
			Method: "PUT", Host: "s3.amazonaws.com", URL: &url.URL{Path: "/examplebucket/chunkObject.txt"},
			Header: c.header,
		}
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("X-Amz-Content-Sha256", digest)
		r.Header.Set("Authorization", Algorithm+" Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
			"SignedHeaders="+c.names+",Signature="+c.seed)
		var v Verifier
		g, err := Read(r, Claims{}, true)
		if err != nil || !v.Matches(r, &g, digest, secret) {
			t.Errorf("%s: %+v, %v", digest, g, err)
			continue
		}
		verify := func(data [3]string, lines string) bool {
			chunks := v.Chunks(&g, digest, secret)
			ok := true
			for i, d := range data {
				chunks.Begin("chunk-signature=" + c.chunks[i])
				chunks.Write([]byte(d[:len(d)/2]))
				chunks.Write([]byte(d[len(d)/2:]))
				ok = chunks.End() && ok
			}
			return ok && (!chunks.Trailed || chunks.Trailer(lines, c.trailer))
		}
		data := [3]string{strings.Repeat("a", 65536), strings.Repeat("a", 1024), ""}
		const lines = "x-amz-checksum-crc32c:sOO8/Q==\n"
		if !verify(data, lines) {
			t.Errorf("%s: the example does not verify", digest)
		}
		if verify([3]string{data[0], data[1][1:], ""}, lines) || verify([3]string{data[0][1:], data[1], ""}, lines) ||
			verify([3]string{data[0], data[1], "a"}, lines) || c.trailer != "" && verify(data, "x"+lines) {
			t.Errorf("%s: another body verifies", digest)
		}
	}
	var v Verifier
	if v.Chunks(&Given{}, UnsignedTrailer, secret) != nil {
		t.Error("chunks without signatures are verified")
	}
}
