package pebble

import (
	"errors"
	"fmt"
	"io"

	crdb "github.com/cockroachdb/pebble/v2"
)

// errPanic wraps a panic of the database.
var errPanic = errors.New("the database panicked")

// contain turns a panic of the database into an error. Defer it around a call of the database and nothing else: our own
// panics stay panics.
func contain(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("%w: %w", errPanic, p)
	default:
		*err = fmt.Errorf("%w: %v", errPanic, p)
	}
}

// rows is an iterator of the database that never panics: a panic inside becomes its error and ends it.
type rows struct {
	it       *crdb.Iterator
	panicked error
}

func (s *Store) rows(o *crdb.IterOptions) (r *rows, err error) {
	defer contain(&err)
	it, err := s.db.NewIter(o)
	if err != nil {
		return nil, err
	}
	return &rows{it: it}, nil
}

// get calls the database's Get.
func (s *Store) get(key []byte) (value []byte, closer io.Closer, err error) {
	defer contain(&err)
	return s.db.Get(key)
}

func (r *rows) First() (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.First()
}

func (r *rows) Last() (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.Last()
}

func (r *rows) Next() (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.Next()
}

func (r *rows) Prev() (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.Prev()
}

func (r *rows) SeekGE(key []byte) (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.SeekGE(key)
}

func (r *rows) SeekLT(key []byte) (ok bool) {
	defer contain(&r.panicked)
	return r.panicked == nil && r.it.SeekLT(key)
}

func (r *rows) Valid() bool { return r.panicked == nil && r.it.Valid() }

func (r *rows) Key() []byte { return r.it.Key() }

func (r *rows) ValueAndErr() (value []byte, err error) {
	defer contain(&err)
	return r.it.ValueAndErr()
}

func (r *rows) Error() (err error) {
	if r.panicked != nil {
		return r.panicked
	}
	defer contain(&err)
	return r.it.Error()
}

func (r *rows) Close() (err error) {
	defer contain(&err)
	return r.it.Close()
}
