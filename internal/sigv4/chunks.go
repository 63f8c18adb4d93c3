package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
)

// Chunks verifies the signatures within a body in aws-chunked encoding, each of which covers a chunk and the signature
// before it: Begin a chunk, Write its data, End it. Not safe for concurrent use.
type Chunks struct {
	// Trailed says that the lines behind the last chunk are signed, too.
	Trailed bool

	verifier *Verifier
	given    Given
	secret   string
	before   string // the signature of the chunk before, or of the request
	claimed  string // that of the chunk that has begun
	data     hash.Hash
}

// Chunks returns what verifies the chunks of a request whose own signature is right; nil if the digest that it gives of
// its body does not say that they are signed.
func (v *Verifier) Chunks(g *Given, digest, secret string) *Chunks {
	if !strings.HasPrefix(digest, "STREAMING-AWS4-") {
		return nil
	}
	return &Chunks{
		Trailed: strings.HasSuffix(digest, "-TRAILER"), verifier: v, given: *g, secret: secret, before: g.Signature,
		data: sha256.New(),
	}
}

// Begin begins a chunk, whose first line has these extensions: what is behind the size and a semicolon.
func (c *Chunks) Begin(extensions string) {
	c.claimed = ""
	for e := range strings.SplitSeq(extensions, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(e), "chunk-signature="); ok {
			c.claimed = value
		}
	}
	c.data.Reset()
}

// Write takes data of the chunk.
func (c *Chunks) Write(data []byte) { c.data.Write(data) }

// End reports whether the chunk has the signature that it claims.
func (c *Chunks) End() bool {
	return c.next("-PAYLOAD", c.claimed, emptyDigest, hex.EncodeToString(c.data.Sum(nil)))
}

// Trailer reports whether a signature is that of the lines behind the last chunk, each of which ends in a line feed.
func (c *Chunks) Trailer(lines, signature string) bool {
	return c.next("-TRAILER", signature, Digest([]byte(lines)))
}

const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (c *Chunks) next(kind, signature string, digests ...string) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	g := &c.given
	key := c.verifier.keyed(derivation{c.secret, g.Day, g.Region, g.Service})
	s.text = append(s.text[:0], key.inner[:]...)
	s.text = append(append(append(s.text, Algorithm...), kind...), '\n')
	s.text = append(append(s.text, g.Stamp...), '\n')
	s.text = append(g.appendScope(s.text), '\n')
	s.text = append(s.text, c.before...)
	for _, d := range digests {
		s.text = append(append(s.text, '\n'), d...)
	}
	c.before = signature
	return key.made(s, signature)
}
