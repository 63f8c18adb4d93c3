package stream

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/record"
)

// Tokens are AES-256-GCM boxes under a key stored in Coord, so that they are valid after a restart and on every node:
//
//	00 00 00 00 00 00 00 01 | nonce 12 | ciphertext | tag 16
//
// The plaintext is padded with zeros so that the whole has 152 + 16·k bytes, like AWS's iterators. The kind of token is
// authenticated too.
const (
	tokenKeyBytes = 32
	tokenNonce    = 12
	tokenLeast    = 152 // bytes of the shortest token
	tokenStep     = 16
	tokenLongest  = 1024 // decoded bytes; ours are below 384
)

var tokenHeader = [8]byte{7: 1}

// Kinds of tokens; one kind is not accepted for another. Those of lists continue with the account and region of the
// caller to whom they were given: kind/ACCOUNT/REGION.
const (
	kindIterator = "iterator"
	kindShards   = "shards"
	kindStreams  = "streams"

	kindConsumers = "consumers"
)

// sealer makes and opens tokens.
type sealer struct{ box cipher.AEAD }

func (t *sealer) use(key []byte) error {
	if len(key) != tokenKeyBytes {
		return fmt.Errorf("token key has %d bytes, not %d", len(key), tokenKeyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	t.box, err = cipher.NewGCM(block)
	return err
}

// seal returns payload as a token: standard padded base64, different at every call.
func (t *sealer) seal(kind string, payload []byte) string {
	overhead := len(tokenHeader) + tokenNonce + t.box.Overhead()
	size := max(overhead+2+len(payload), tokenLeast)
	size = tokenLeast + (size-tokenLeast+tokenStep-1)/tokenStep*tokenStep
	plain := make([]byte, size-overhead)
	binary.BigEndian.PutUint16(plain, uint16(len(payload)))
	copy(plain[2:], payload)

	out := make([]byte, len(tokenHeader)+tokenNonce, size)
	copy(out, tokenHeader[:])
	nonce := out[len(tokenHeader):]
	_, _ = rand.Read(nonce) // never fails
	out = t.box.Seal(out, nonce, plain, []byte(kind))
	return base64.StdEncoding.EncodeToString(out)
}

// open returns the payload of a token; ok is false for anything that seal did not make, of this kind and with this key.
func (t *sealer) open(kind, token string) (payload []byte, ok bool) {
	if len(token) > base64.StdEncoding.EncodedLen(tokenLongest) || strings.ContainsAny(token, "\r\n") {
		return nil, false // the decoder would skip line breaks
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < tokenLeast || !bytes.HasPrefix(raw, tokenHeader[:]) {
		return nil, false
	}
	nonce, sealed := raw[len(tokenHeader):len(tokenHeader)+tokenNonce], raw[len(tokenHeader)+tokenNonce:]
	plain, err := t.box.Open(nil, nonce, sealed, []byte(kind))
	if err != nil {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(plain))
	if n > len(plain)-2 {
		return nil, false
	}
	return plain[2 : 2+n], true
}

// tokenVersion is the first byte of every payload.
const tokenVersion = 1

// place is the content of an iterator: the next record to read, its shard and stream, and when it was issued.
type place struct {
	stream uint32
	shard  record.ShardID
	pos    record.Position
	issued record.Millis
	name   Name // for messages once the stream is gone
}

func (p place) encode() []byte {
	b := make([]byte, 0, 64+len(p.name.Name))
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint32(b, p.stream)
	b = binary.BigEndian.AppendUint32(b, uint32(p.shard))
	b = binary.BigEndian.AppendUint64(b, uint64(p.pos))
	b = binary.BigEndian.AppendUint64(b, uint64(p.issued))
	return appendTexts(b, p.name.Account, p.name.Region, p.name.Name)
}

func decodePlace(b []byte) (p place, ok bool) {
	if len(b) < 25 || b[0] != tokenVersion {
		return p, false
	}
	p.stream = binary.BigEndian.Uint32(b[1:])
	p.shard = record.ShardID(binary.BigEndian.Uint32(b[5:]))
	p.pos = record.Position(binary.BigEndian.Uint64(b[9:]))
	p.issued = record.Millis(binary.BigEndian.Uint64(b[17:]))
	texts, ok := readTexts(b[25:], 3)
	if !ok {
		return p, false
	}
	p.name = Name{texts[0], texts[1], texts[2]}
	return p, true
}

// appendTexts appends texts of up to 255 bytes, each after its length.
func appendTexts(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = append(b, byte(len(t)))
		b = append(b, t...)
	}
	return b
}

func readTexts(b []byte, n int) (texts []string, ok bool) {
	for range n {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return nil, false
		}
		size := 1 + int(b[0])
		texts = append(texts, string(b[1:size]))
		b = b[size:]
	}
	return texts, len(b) == 0
}
