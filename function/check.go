package function

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/shardmill/shardmill/storage"
)

// HoldCode keeps every code package that is there, whatever is deleted meanwhile, until release, which is called once:
// who copies the store and then the files finds every package that the copy names.
func (f *Functions) HoldCode() (release func()) { return f.code.hold() }

// CheckCode reads the code packages in dir that the functions and versions in coord name, and compares their bytes with
// their names. It changes nothing. tell is called for each finding. An error means that the check did not come to its
// end.
func CheckCode(ctx context.Context, coord storage.Coord, dir string, tell func(where, what string)) error {
	rows, err := coord.List(ctx, coordGroup, "", 0)
	if err != nil {
		return err
	}
	code := openPackages(dir)
	checked := map[string]error{}
	for _, e := range rows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var s stored // a version has the same members, as far as they matter here
		if err := decodeRow(e, &s, &s.Format); err != nil {
			tell(e.Key, err.Error())
			continue
		}
		err, known := checked[s.CodeSHA256]
		if !known {
			_, err = code.read(s.CodeSHA256)
			checked[s.CodeSHA256] = err
		}
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			tell(e.Key, fmt.Sprintf("its code, %s, is missing", code.zipPath(s.CodeSHA256)))
		default:
			tell(e.Key, fmt.Sprintf("its code, %s: %v", code.zipPath(s.CodeSHA256), err))
		}
	}
	return nil
}
