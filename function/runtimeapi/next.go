package runtimeapi

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// takeNext handles GET /runtime/invocation/next: it parks the connection until Send has an event. Only one /next per
// environment may wait.
func (s *Server) takeNext(c *conn, br *bufio.Reader, r *request) bool {
	if !s.drop(c, br, r) {
		return false
	}
	s.mu.Lock()
	if c.gone || s.until.Load() != nil { // no process is there to read an event
		s.mu.Unlock()
		return false
	}
	if from := s.state; from == parked || from == invoked {
		s.mu.Unlock()
		return reply(c, 403, badTransition(from, "Ready"))
	}
	s.state, s.next, c.waits = parked, c, true
	s.mu.Unlock()
	s.h.Ready()
	return true
}

// inlinePayload is the size in bytes up to which head and payload are joined for one write; beyond it, copying costs
// more than a second buffer.
const inlinePayload = 64 << 10

// writeEvent answers a parked /next. A runtime that stops reading is disconnected at the deadline of its invocation.
func writeEvent(c net.Conn, ev *Event) error {
	small := len(ev.Payload) <= inlinePayload
	size := 512 + len(ev.ClientContext)
	if small {
		size += len(ev.Payload)
	}
	b := appendHead(make([]byte, 0, size), 200, len(ev.Payload), "application/json")
	b = appendHeader(b, "Lambda-Runtime-Aws-Request-Id", ev.ID)
	deadline := ev.Deadline
	if ev.Clock.Follows {
		deadline = deadline.Add(ev.Clock.Offset)
	}
	b = appendMillis(b, "Lambda-Runtime-Deadline-Ms: ", deadline.UnixMilli())
	if ev.Clock.Told {
		b = appendMillis(b, "Shardmill-Clock-Offset-Ms: ", ev.Clock.Offset.Milliseconds())
	}
	b = appendHeader(b, "Lambda-Runtime-Invoked-Function-Arn", ev.ARN)
	b = appendHeader(b, "Lambda-Runtime-Trace-Id", ev.TraceID)
	b = appendHeader(b, "Lambda-Runtime-Client-Context", ev.ClientContext)
	b = append(b, "\r\n"...)
	if small {
		_, err := c.Write(append(b, ev.Payload...))
		return err
	}
	if err := c.SetWriteDeadline(ev.Deadline.Add(time.Second)); err != nil {
		return err
	}
	if _, err := nonblock.WriteBoth(c, b, ev.Payload); err != nil {
		return err
	}
	return c.SetWriteDeadline(time.Time{})
}

func appendMillis(b []byte, name string, ms int64) []byte {
	return append(strconv.AppendInt(append(b, name...), ms, 10), "\r\n"...)
}

// appendHeader appends a header unless its value is empty. Line breaks, which a client context may contain between JSON
// tokens, become blanks.
func appendHeader(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(value)
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
