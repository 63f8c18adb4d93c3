package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/shardmill/shardmill/storage"
)

// Check reads the files in dir to which the objects and parts in local refer, and compares their bytes with their
// names. It changes nothing. tell is called for each finding. An error means that the check did not come to its end.
func Check(ctx context.Context, local storage.Local, dir string, tell func(where, what string)) error {
	content := newFiles(dir, -1)
	lo, hi := []byte(prefixReference), []byte("bucket/r0") // behind the slash
	var last blob
	err := local.Scan(lo, hi, false, func(k, _ []byte) bool {
		if len(k) != len(referenceKey(blob{}, owner{})) {
			tell(fmt.Sprintf("the key %q", k), "it refers to no content")
			return ctx.Err() == nil
		}
		n := blob(k[len(prefixReference):])
		if n == last { // references to one content follow each other
			return ctx.Err() == nil
		}
		last = n
		sum, err := content.sum(n)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			tell(content.path(n), "it is missing, and an object has its bytes there")
		case err != nil:
			tell(content.path(n), err.Error())
		case sum != n:
			tell(
				content.path(n), "its bytes are not those it was written with: their SHA-256 is "+hex.EncodeToString(sum[:]),
			)
		}
		return ctx.Err() == nil
	})
	return errors.Join(err, ctx.Err())
}

// sum returns the SHA-256 of a content's bytes.
func (f *files) sum(n blob) (sum blob, err error) {
	file, err := os.Open(f.path(n))
	if err != nil {
		return sum, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return sum, err
	}
	return blob(h.Sum(nil)), nil
}
