package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// connection is one keep-alive HTTP/1.1 connection, written and read by hand: net/http's client would cost the load
// generator, which shares the machine, more than the server that it measures.
type connection struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(addr string) (*connection, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

func dialAll(addr string, n int, c *cleanup) ([]*connection, error) {
	all := make([]*connection, n)
	for i := range all {
		var err error
		if all[i], err = dial(addr); err != nil {
			return nil, err
		}
		c.add(func() { _ = all[i].Close() })
	}
	return all, nil
}

// call sends a whole request and returns status and body. The body is valid until the next call.
func (c *connection) call(request []byte) (int, []byte, error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

const maxAnswer = 64 << 20

// answer reads one HTTP response.
func (c *connection) answer() (status int, body []byte, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, nil, fmt.Errorf("%q is no HTTP response", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("%q is no HTTP response", line)
	}
	size, chunked := 0, false
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if size, err = length(value, 10); err != nil {
				return 0, nil, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.body, c.take(size)
	}
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if size, err = length(bytes.TrimSpace(line), 16); err != nil {
			return 0, nil, err
		}
		if err := c.take(size); err != nil {
			return 0, nil, err
		}
		if _, err := c.r.Discard(2); err != nil {
			return 0, nil, err
		}
		if size == 0 {
			return status, c.body, nil
		}
	}
}

func length(text []byte, base int) (int, error) {
	n, err := strconv.ParseInt(string(text), base, 32)
	if err != nil || n < 0 || n > maxAnswer {
		return 0, fmt.Errorf("%q is no length of a body", text)
	}
	return int(n), nil
}

// take appends n bytes to the body.
func (c *connection) take(n int) error {
	at := len(c.body)
	if at+n > maxAnswer {
		return errors.New("the response is too large")
	}
	if cap(c.body) < at+n {
		grown := make([]byte, at, max(at+n, 2*cap(c.body)))
		copy(grown, c.body)
		c.body = grown
	}
	c.body = c.body[:at+n]
	_, err := io.ReadFull(c.r, c.body[at:])
	return err
}

// request returns a whole HTTP request for an operation of Kinesis.
func request(host, operation string, body []byte) []byte {
	return post(host, "/", "kinesis", "X-Amz-Target: Kinesis_20131202."+operation+"\r\n", body)
}

// post returns a whole HTTP request with the headers that an SDK sends.
func post(host, path, service, target string, body []byte) []byte {
	now := time.Now().UTC()
	target = "X-Amz-Date: " + now.Format("20060102T150405Z") + "\r\n" + target
	return posted(host, path, service, target, authorization(service, now), body)
}

// posted is post of a request whose date is among more, the lines of other headers.
func posted(host, path, service, more, authorization string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(
		&b,
		"POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: aws-sdk-go-v2/1.30.0 os/linux lang/go#1.26 api/%s#1.0.0\r\nContent-Length: %d\r\n",
		path, host, service, len(body),
	)
	b.WriteString(
		"Amz-Sdk-Invocation-Id: 5a41e2b5-0d3c-4f38-9c53-2a7a0e3c8c11\r\nAmz-Sdk-Request: attempt=1; max=3\r\nContent-Type: application/x-amz-json-1.1\r\n",
	)
	fmt.Fprintf(&b, "%sAccept-Encoding: identity\r\nAuthorization: %s\r\n\r\n", more, authorization)
	b.Write(body)
	return b.Bytes()
}

// authorization has the form of Signature Version 4; servers on loopback parse it and do not verify it.
func authorization(service string, now time.Time) string {
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=000000000000/%s/us-east-1/%s/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%064d",
		now.Format("20060102"), service, 0)
}

// together runs f for 0 to n-1 concurrently and returns the first error.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
