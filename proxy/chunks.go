package proxy

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// errChunks says that a body in aws-chunked encoding is none.
var errChunks = errors.New("the body is not in aws-chunked encoding")

// maxChunkLine bounds a line between chunks, in bytes.
const maxChunkLine = 8 << 10

// chunks reads a body in S3's aws-chunked encoding. Its signatures are by the key of our caller, so they are taken off;
// data and checksums in the trailer stay what they are. Source: S3 API Reference, "Signature calculations for the
// Authorization header: transferring a payload in multiple chunks".
type chunks struct {
	from   *bufio.Reader
	signed *sigv4.Chunks // verifies signatures; nil: there are none, or nobody asks for them
	// framed: what is read is aws-chunked as well, without signatures; else it is the data alone
	framed bool
	out    []byte // to be read before more data
	left   int64  // bytes of the chunk
	inside bool   // a chunk has begun, and its end has not been seen
	ended  bool
}

func newChunks(from io.Reader, framed bool, signed *sigv4.Chunks) *chunks {
	return &chunks{from: bufio.NewReaderSize(from, maxChunkLine), framed: framed, signed: signed}
}

// Read reads more. An error other than io.EOF is errChunks, or what the body itself returned.
func (c *chunks) Read(p []byte) (int, error) {
	for {
		switch {
		case len(c.out) > 0:
			n := copy(p, c.out)
			c.out = c.out[n:]
			return n, nil
		case c.ended:
			return 0, io.EOF
		case c.left > 0:
			n, err := io.LimitReader(c.from, c.left).Read(p)
			c.left -= int64(n)
			if c.signed != nil {
				c.signed.Write(p[:n])
				if c.left == 0 && !c.signed.End() { // before the last of it is handed on
					return 0, wire.ChunkMismatch()
				}
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
}

// next passes the end of a chunk and takes the line that begins another one.
func (c *chunks) next() error {
	if c.inside {
		if line, err := c.line(); err != nil || line != "" {
			return or(err, errChunks)
		}
		c.inside = false
		c.put("\r\n")
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extensions, _ := strings.Cut(line, ";")
	if c.left, err = strconv.ParseInt(size, 16, 64); err != nil || c.left < 0 {
		return errChunks
	}
	if c.signed != nil {
		c.signed.Begin(extensions)
		if c.left == 0 && !c.signed.End() {
			return wire.ChunkMismatch()
		}
	}
	c.put(size + "\r\n")
	if c.left > 0 {
		c.inside = true
		return nil
	}
	return c.trailer()
}

// trailer takes the lines behind the last chunk.
func (c *chunks) trailer() error {
	var lines strings.Builder // as they are signed
	signature := ""
	for {
		line, err := c.line()
		if errors.Is(err, io.ErrUnexpectedEOF) && line == "" && !c.framed {
			err = nil // no trailer is to come, and some clients end without an empty line
		}
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "x-amz-trailer-signature") {
			signature = strings.TrimSpace(value)
			continue
		}
		lines.WriteString(strings.ToLower(name) + ":" + strings.TrimSpace(value) + "\n")
		if lines.Len() > maxChunkLine {
			return errChunks
		}
		c.put(line + "\r\n")
		if len(c.out) > maxChunkLine {
			return errChunks
		}
	}
	if c.signed != nil && c.signed.Trailed && !c.signed.Trailer(lines.String(), signature) {
		return wire.ChunkMismatch()
	}
	c.put("\r\n")
	c.ended = true
	return nil
}

func (c *chunks) put(text string) {
	if c.framed {
		c.out = append(c.out, text...)
	}
}

// line returns a line without its end.
func (c *chunks) line() (string, error) {
	line, err := c.from.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errChunks
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func or(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
