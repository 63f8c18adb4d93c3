package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/durable"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// unfinishedBackup begins the name under which a backup is written, beside its place: what is there under its own name
// is whole.
const unfinishedBackup = ".shardmill-backup-"

// Backup copies the data directory to to, while everything goes on. First the store is copied, which is one moment in
// its life; then the files that it refers to, none of which is removed meanwhile.
func (c controlled) Backup(ctx context.Context, to string) (a control.BackupAnswer, err error) {
	store, ok := c.rooms.store.(*pebble.Store)
	if !ok {
		return a, &control.Problem{
			Status: http.StatusConflict,
			Text:   "this server keeps everything in memory, so there is nothing to back up: shardmill serve --data DIR keeps it in a directory",
		}
	}
	if !c.copying.CompareAndSwap(false, true) {
		return a, &control.Problem{Status: http.StatusConflict, Text: "another backup is under way: wait for its end"}
	}
	defer c.copying.Store(false)
	if err := c.placeForBackup(to); err != nil {
		return a, err
	}
	draft, err := os.MkdirTemp(filepath.Dir(to), unfinishedBackup) // mode 0700, as the directory itself
	if err != nil {
		return a, backupProblem(to, err)
	}
	defer func() { _ = os.RemoveAll(draft) }() // renamed by then, or unwanted

	for _, hold := range append([]func() func(){c.rooms.functions.HoldCode}, c.rooms.holds()...) {
		defer hold()()
	}
	if err := store.Backup(ctx, filepath.Join(draft, "store")); err != nil {
		return a, backupProblem(to, err)
	}
	w := copier{ctx: ctx, from: c.cfg.Data, to: draft}
	w.count("store")
	w.tree(filepath.Join("functions", "code"), true)
	w.tree(filepath.Join("objects", "content"), true)
	w.tree("logs", false) // the last one goes on being written
	if w.err == nil {
		w.err = durable.SyncDir(draft)
	}
	if w.err == nil && c.rooms.ending.Load() {
		w.err = &control.Problem{
			Status: http.StatusConflict, Text: "there is no backup: the server was stopped or reset meanwhile",
		}
	}
	if w.err == nil {
		w.err = os.Rename(draft, to)
	}
	if w.err == nil {
		w.err = durable.SyncDir(filepath.Dir(to))
	}
	if w.err != nil {
		return a, backupProblem(to, w.err)
	}
	a = w.sum
	a.Data, a.To = c.cfg.Data, to
	return a, nil
}

// holds returns how companions keep their files.
func (r *rooms) holds() (all []func() func()) {
	for _, c := range r.companions {
		if c.hold != nil {
			all = append(all, c.hold)
		}
	}
	return all
}

// placeForBackup refuses places where a backup would overwrite something or become a part of itself.
func (c controlled) placeForBackup(to string) error {
	refuse := func(format string, args ...any) error {
		return &control.Problem{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
	}
	above, err := filepath.EvalSymlinks(filepath.Dir(to))
	if err != nil {
		return refuse("%s does not exist on the server's machine: make it, or mount the disk, first", filepath.Dir(to))
	}
	data, err := filepath.Abs(c.cfg.Data)
	if err == nil {
		data, err = filepath.EvalSymlinks(data)
	}
	if err != nil {
		return backupProblem(to, err)
	}
	place := filepath.Join(above, filepath.Base(to))
	if within(place, data) || within(data, place) {
		return refuse("%s and the data directory %s lie within each other: name another place", to, c.cfg.Data)
	}
	entries, err := os.ReadDir(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return refuse("%s is no directory that can be read: name one that does not exist", to)
	case len(entries) > 0:
		return refuse("%s is not empty, and a backup overwrites nothing: name a directory that does not exist", to)
	}
	return nil
}

// within reports whether path is dir or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// backupProblem says why there is no backup.
func backupProblem(to string, err error) error {
	var p *control.Problem
	if errors.As(err, &p) {
		return err
	}
	if errors.Is(err, storage.ErrFull) {
		return &control.Problem{
			Status: http.StatusInsufficientStorage,
			Text:   "there is no backup: the disk of the data directory is nearly full, and a copy shares it or fills it further",
		}
	}
	return &control.Problem{
		Status: http.StatusInternalServerError, Text: fmt.Sprintf("there is no backup at %s: %v", to, err),
	}
}

// copier copies files of a data directory. Its first error ends it.
type copier struct {
	ctx      context.Context
	from, to string
	sum      control.BackupAnswer
	err      error
}

// tree copies the files of a directory. What never changes is linked where that is possible. A file that is gone
// meanwhile is left out: a log that had to make room.
func (w *copier) tree(name string, link bool) {
	from, to := filepath.Join(w.from, name), filepath.Join(w.to, name)
	entries, err := os.ReadDir(from)
	if w.err != nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	for _, e := range entries {
		if err == nil {
			err = w.ctx.Err()
		}
		if err != nil {
			break
		}
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") { // not yet whole
			continue
		}
		err = w.file(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), link)
	}
	for dir := to; err == nil && dir != w.to; dir = filepath.Dir(dir) {
		err = durable.SyncDir(dir)
	}
	w.err = err
}

func (w *copier) file(from, to string, link bool) error {
	if link && os.Link(from, to) == nil {
		info, err := os.Stat(to)
		if err == nil {
			w.sum.Files++
			w.sum.Bytes += info.Size()
			w.sum.Linked += info.Size()
		}
		return err
	}
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	w.sum.Files++
	w.sum.Bytes += n
	return errors.Join(err, out.Close())
}

// count adds files that are in the copy already.
func (w *copier) count(name string) {
	entries, err := os.ReadDir(filepath.Join(w.to, name))
	for _, e := range entries {
		info, ierr := e.Info()
		if err = errors.Join(err, ierr); err != nil {
			break
		}
		w.sum.Files++
		w.sum.Bytes += info.Size()
		if there, err := os.Stat(filepath.Join(w.from, name, e.Name())); err == nil && os.SameFile(there, info) {
			w.sum.Linked += info.Size()
		}
	}
	w.err = errors.Join(w.err, err)
}
