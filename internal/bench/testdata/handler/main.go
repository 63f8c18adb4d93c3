// Command handler is the Go function of the benchmarks: it speaks the Runtime API over one connection, reads each
// payload to its end, and reports to the ledger.
//
// Handler "count" reports for each batch when it began and finished arriving, its shard, its first and last sequence
// number, and its number of records; "age" also reports when the last record arrived. Handler "stamp" reports for each record the instant in its data, and the instant
// at which the last byte of the payload arrived.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ledger, err := net.Dial("tcp", os.Getenv("BENCH_LEDGER"))
	if err != nil {
		return err
	}
	report := count
	switch os.Getenv("_HANDLER") {
	case "stamp":
		report = stamp
	case "age":
		report = age
	}
	host := os.Getenv("AWS_LAMBDA_RUNTIME_API")
	api, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	c := &connection{Conn: api, r: bufio.NewReaderSize(api, 256<<10)}
	const base = "/2018-06-01/runtime/invocation/"
	next := []byte("GET " + base + "next HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	var line []byte
	for {
		if _, err := c.Write(next); err != nil {
			return err
		}
		a, err := c.read()
		if err != nil {
			return err
		}
		line = report(line[:0], a, time.Now().UnixNano())
		if _, err := ledger.Write(line); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(
			c, "POST %s%s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\n{}", base, a.id, host,
		); err != nil {
			return err
		}
		if _, err := c.read(); err != nil {
			return err
		}
	}
}

// answer is one response of the Runtime API; body is valid until the next one.
type answer struct {
	began int64 // when its first byte arrived
	id    string
	body  []byte
}

type connection struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

func (c *connection) read() (answer, error) {
	var a answer
	if _, err := c.r.Peek(1); err != nil {
		return a, err
	}
	a.began = time.Now().UnixNano()
	size := 0
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return a, err
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case name == "":
			if cap(c.buf) < size {
				c.buf = make([]byte, size)
			}
			a.body = c.buf[:size]
			_, err := io.ReadFull(c.r, a.body)
			return a, err
		case strings.EqualFold(name, "content-length"):
			if size, err = strconv.Atoi(value); err != nil {
				return a, err
			}
		case strings.EqualFold(name, "lambda-runtime-aws-request-id"):
			a.id = value
		}
	}
}

// value returns the text after mark, up to the next quotation mark.
func value(b []byte, at int, mark string) []byte {
	if at < 0 {
		return []byte("-")
	}
	b = b[at+len(mark):]
	return b[:bytes.IndexByte(b, '"')]
}

const (
	sequence = `"sequenceNumber":"`
	eventID  = `"eventID":"` // quotation marks in keys are escaped, so this occurs only at records
)

func count(line []byte, a answer, now int64) []byte {
	shard, _, _ := bytes.Cut(value(a.body, bytes.Index(a.body, []byte(eventID)), eventID), []byte(":"))
	first := value(a.body, bytes.Index(a.body, []byte(sequence)), sequence)
	last := value(a.body, bytes.LastIndex(a.body, []byte(sequence)), sequence)
	return fmt.Appendf(
		line, "b %d %d %s %s %s %d\n", a.began, now, shard, first, last, bytes.Count(a.body, []byte(eventID)),
	)
}

// age is count with the arrival of the last record, in milliseconds, in front.
func age(line []byte, a answer, now int64) []byte {
	const mark = `"approximateArrivalTimestamp":`
	digits := make([]byte, 0, 16)
	for _, c := range a.body[bytes.LastIndex(a.body, []byte(mark))+len(mark):] {
		if c == '}' {
			break
		}
		if c != '.' { // seconds with exactly three decimals
			digits = append(digits, c)
		}
	}
	return count(append(append(append(line, "a "...), digits...), ' '), a, now)
}

func stamp(line []byte, a answer, now int64) []byte {
	const mark = `"data":"`
	for b := a.body; ; {
		at := bytes.Index(b, []byte(mark))
		if at < 0 {
			return line
		}
		data, err := base64.StdEncoding.DecodeString(string(value(b, at, mark)))
		if err != nil {
			return line
		}
		sent, _, _ := bytes.Cut(data, []byte(" "))
		line = fmt.Appendf(line, "r %s %d\n", sent, now)
		b = b[at+len(mark):]
	}
}
