package pebble

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"

	crdb "github.com/cockroachdb/pebble/v2"
	blocks "github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damage is the error of a file that is not as it was written. Pebble does not take it for corruption.
type damage struct {
	file string
	why  string
}

func (d *damage) Error() string { return d.file + ": " + d.why }

// isDamage reports whether err says that something on disk is not as it was written.
func isDamage(err error) bool {
	var d *damage
	return crdb.IsCorruptionError(err) || errors.Is(err, errPanic) || errors.As(err, &d)
}

// A blob file ends with its footer: checksum of the rest u32, place of the index (two u64), kind of the checksums u8,
// version u8, file number u64, and the magic. Before it lie blocks: bytes, compression u8, checksum of both u32.
const (
	blobFooter  = 38
	blobMagic   = "\xf0\x9f\xaa\xb3\xf0\x9f\xa6\x80"
	blobSumKind = 20
	blobVersion = 1
)

// blobInput is a blob file open for reading. Every block read is checked here before Pebble checks it again.
type blobInput struct {
	vfs.File
	files *files
	name  string
	size  int64
	sums  blocks.ChecksumType
}

// check reads the footer.
func (b *blobInput) check() error {
	info, err := b.File.Stat()
	if err != nil {
		return err
	}
	if b.size = info.Size(); b.size < blobFooter {
		return b.files.damaged(b.name, "it was cut")
	}
	var footer [blobFooter]byte
	if n, err := b.File.ReadAt(footer[:], b.size-blobFooter); n < blobFooter {
		return err
	}
	b.sums = blocks.ChecksumType(footer[blobSumKind])
	if binary.LittleEndian.Uint32(footer[:]) != chunkSum(footer[4:]) || footer[blobSumKind+1] != blobVersion ||
		string(footer[30:]) != blobMagic ||
		b.sums != blocks.ChecksumTypeCRC32c && b.sums != blocks.ChecksumTypeXXHash64 {
		return b.files.damaged(b.name, "its end is corrupt, or it was cut")
	}
	return nil
}

func (b *blobInput) ReadAt(p []byte, at int64) (int, error) {
	n, err := b.File.ReadAt(p, at)
	switch {
	case n < len(p):
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = b.files.damaged(b.name, "it was cut")
		}
		return n, err
	case len(p) > blocks.TrailerLen && at+int64(n) <= b.size-blobFooter:
		if blocks.ValidateChecksum(b.sums, p, blocks.Handle{
			Offset: uint64(at), Length: uint64(n - blocks.TrailerLen),
		}) != nil {
			return 0, b.files.damaged(b.name, "its bytes are corrupt")
		}
	}
	return n, nil
}

// chunkSum returns the checksum that Pebble uses for footers and for chunks in logs: CRC-32C, masked so that checksums
// of checksums are harmless.
func chunkSum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// firstLine is an error of Pebble without the lines it adds for its own tools.
type firstLine struct{ error }

func (f firstLine) Error() string {
	text := f.error.Error()
	line, _, _ := strings.Cut(text, "\n") // a layout, not a meaning
	return line
}

func (f firstLine) Unwrap() error { return f.error }
