package front_test

import (
	"slices"
	"strconv"
	"strings"
)

// request is a plain one with further header lines.
func request(method, target, body string, lines ...string) string {
	b := method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n"
	for _, line := range lines {
		b += line + "\r\n"
	}
	if body != "" {
		b += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return b + "\r\n" + body
}

const signature = "Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"

// plainOnes are what SDKs send.
var plainOnes = []string{
	request("GET", "/", ""),
	request("POST", "/", `{"a":1}`, signature, "X-Amz-Target: Kinesis_20131202.PutRecord", "X-Amz-Date: 20260101T000000Z", "content-type: application/x-amz-json-1.1", "amz-sdk-invocation-id: 7", "amz-sdk-request: attempt=1; max=3", "accept-encoding: identity", "User-Agent: aws-sdk-go-v2/1.0 (x; y)"),
	request("PUT", "/b/k%20ey%2F?x=1&x=2", "object"), request("DELETE", "/b/k?versionId=%00", ""),
	request("HEAD", "/", ""), request("POST", "/", "body", "Connection: keep-alive"),
	request("POST", "/", "", "Content-Length: 0"), request("GET", "/?q=<>\"{}|\\^`", ""),
	request("GET", "//a/b", ""), request("GET", "/a//b/../c", ""), request("GET", "/:80", "with a body"),
	request("GET", "/unread/", "left in the body"),
	request("POST", "/unread/", strings.Repeat("x", 6000)) + request("GET", "/after", ""),
	request("POST", "/late/", "read too late"), request("POST", "/closed/", "body") + request("GET", "/after", ""),
	request("POST", "/", strings.Repeat("y", 100_000)),
	request("GET", "/", "", "X-A: 1", "x-a: 2", "X-a:3", "X-Empty:", "X-Blanks: \t a\tb \t", "!#$%&'*+-.^_`|~1: token"),
	request("GET", "/", "", "X-A: 1", "X-B: 2", "X-A: 3", "X-C: 4", "X-B: 5", "X-A: 6"),
	request("GET", "/", "", "Cookie: a=b", "cookie: c=d", "TE: trailers", "Keep-Alive: 5", "Proxy-Connection: close"),
	request("POST", "/one", "1") + request("POST", "/two", "22") + request("GET", "/three", ""),
	request("POST", "/one", "1") + "\r\n" + request("GET", "/two", ""),
	request("POST", "/one", "1") + "\n\r\n\n" + request("GET", "/two", ""),
	request("POST", "/one", "1") + "\r\n\r\n\r\n" + request("GET", "/two", ""),
	request("POST", "/one", "1") + "\r\n", request("POST", "/one", "1") + "\r\nGE",
	request("GET", "/one", "") + "\r\n" + request("GET", "/two", ""),
}

// oddOnes are what could be read in more than one way, what is not HTTP/1.1, and what is wrong.
var oddOnes = []string{
	"", "\r\n", "G", "GET", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a",
	"\x16\x03\x01\x02\x00\x01\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\n\r\nabcdefghijkl",
	"GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
	"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
	"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
	"GET / http/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\tX: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX(y): a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \xe4\xc3\xb6\r\n\r\n",
	request("POST", "/", "abc", "Content-Length: 3"), request("POST", "/", "abc", "Content-Length: 2"),
	request("POST", "/", "", "Content-Length: +3") + "abc", request("POST", "/", "", "Content-Length: -3") + "abc",
	request("POST", "/", "", "Content-Length: 03") + "abc",
	request("POST", "/", "", "Content-Length: 0x3") + "abc",
	request("POST", "/", "", "Content-Length: 3, 3") + "abc", request("POST", "/", "", "Content-Length: ") + "abc",
	request("POST", "/", "", "Content-Length : 3") + "abc",
	request("POST", "/", "", "Content-Length: 3 3") + "abc",
	request("POST", "/", "", "Content-Length: 99999999999999999999") + "abc",
	request("POST", "/", "", "Content-Length: 00") + "abc",
	request("POST", "/", "", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + request("GET", "/after", ""),
	request("POST", "/", "", "transfer-encoding: Chunked", "Content-Length: 3") + "3\r\nabc\r\n0\r\n\r\n" +
		request("GET", "/after", ""),
	request("POST", "/", "", "Content-Length: 3", "Transfer-Encoding: chunked") +
		"3\r\nabc\r\n0\r\n\r\n" + request("GET", "/after", ""),
	request("POST", "/", "", "Transfer-Encoding: chunked, chunked") + "0\r\n\r\n",
	request("POST", "/", "", "Transfer-Encoding: identity"),
	request("POST", "/", "", "Transfer-Encoding: gzip") + "abc",
	request("POST", "/", "", "Transfer-Encoding:\x0bchunked") + "0\r\n\r\n",
	request("POST", "/", "", "Transfer-Encoding : chunked") + "0\r\n\r\n",
	request("POST", "/", "", "Transfer-Encoding: chunked", "Trailer: X") + "0\r\nX: 1\r\n\r\n",
	request("POST", "/", "abc", "Expect: 100-continue"), request("POST", "/", "abc", "Expect: 200-ok"),
	request("POST", "/", "abc", "Trailer: X"),
	request("GET", "/", "", "Connection: close") + request("GET", "/after", ""),
	request("GET", "/", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
	request("GET", "/", "", "Connection: keep-alive, close") + request("GET", "/after", ""),
	request("GET", "/", "", "Connection: keep-alive", "Connection: close"),
	request("GET", "/", "", "Connection: X-A", "X-A: 1"), request("GET", "/", "", "Upgrade: websocket"),
	request("GET", "/", "", "Pragma: no-cache"), request("GET", "/", "", "X-Long: "+strings.Repeat("x", 20_000)),
	request("GET", "/", "", "X-Longer: "+strings.Repeat("x", 80_000)),
	request("GET", "/"+strings.Repeat("x", 20_000), ""),
	request("GET", "/", "", slices.Repeat([]string{"X-Many: 1"}, 40)...),
	request("PUT", "/", strings.Repeat("x", 300_000)) + request("GET", "/after", ""),
	request("PUT", "/unread/", strings.Repeat("x", 300_000)) + request("GET", "/after", ""),
	request("POST", "/", "abc")[:len(request("POST", "/", "abc"))-1],
	request("POST", "/unread/", "abc")[:len(request("POST", "/unread/", "abc"))-1],
	request("POST", "/", "abc", "Content-Length: 4")[:40], request("PATCH", "/", "abc"),
	request("OPTIONS", "/", ""), request("TRACE", "/", ""), request("POST", "/one", "1") + "GARBAGE\r\n\r\n",
	request("POST", "/one", "1") + request("POST", "/two", "22", "Transfer-Encoding: chunked"),
	request("GET", "/one", "") + "GET /two HTTP/1.1\n\n",
}
