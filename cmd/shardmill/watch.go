package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// watchEvery is how often a directory with code is checked. The pause after checking a large one is longer, so that
// checks take at most a twentieth of the time.
const (
	watchEvery = 300 * time.Millisecond
	watchShare = 20
)

// watched is a function whose directory is watched: look reports what has changed since the last call. Not safe for
// concurrent use.
type watched struct {
	name string // of the function
	dir  string

	loaded  [32]byte // the directory's fingerprint when the function got its code
	pending [32]byte // its fingerprint at the last look, if that is not loaded
	waiting bool     // pending is set: the directory has changed and may still be changing
	problem string   // the last problem reported
	sum     string   // of the last package handed over; "": none yet
}

// look scans the directory. ok is true, and tree ready to be packed, if it has changed since it was loaded and was the
// same twice in a row: an editor, a compiler or a checkout writes many files, and half of them are not a working
// function.
func (w *watched) look(ctx context.Context) (tree codeTree, ok bool, err error) {
	shallow, err := scanCode(ctx, w.dir, true)
	if err != nil {
		return codeTree{}, false, err
	}
	now := shallow.fingerprint()
	switch {
	case now == w.loaded:
		w.waiting = false
		return codeTree{}, false, nil
	case !w.waiting || now != w.pending:
		w.waiting, w.pending = true, now
		return codeTree{}, false, nil
	}
	w.waiting, w.loaded = false, now
	tree, err = scanCode(ctx, w.dir, false)
	return tree, err == nil, err
}

// watcher reloads the functions of a seed whose directories change.
type watcher struct {
	s         *seeder
	functions []*watched
	every     time.Duration
	reload    func(ctx context.Context, name string, zip []byte) error
}

// newWatcher records the present state of the directories: call it before the code is first packed. It returns nil if
// no function has a directory.
func newWatcher(ctx context.Context, s *seeder) (*watcher, error) {
	w := &watcher{s: s, every: watchEvery}
	for i := range s.plan.Functions {
		f := &s.plan.Functions[i]
		dir := s.code(f)
		if !isDir(dir) {
			continue
		}
		tree, err := scanCode(ctx, dir, true)
		if err != nil {
			return nil, &failure{
				text: f.Key("CodeUri").Errorf("looking at the code of the function %s: %s", f.Name, err).Error(),
			}
		}
		w.functions = append(w.functions, &watched{name: f.Name, dir: dir, loaded: tree.fingerprint()})
	}
	if len(w.functions) == 0 {
		return nil, nil
	}
	w.reload = func(ctx context.Context, name string, zip []byte) error {
		err := updateCode(ctx, s.c, name, zip)
		if isCode(err, fault.CodeConflict) { // at AWS's pace the update before takes a while
			if err = s.settled(ctx, name); err == nil {
				err = updateCode(ctx, s.c, name, zip)
			}
		}
		return err
	}
	return w, nil
}

// run watches every directory until ctx ends. Each has a goroutine of its own, so that packing a large function does
// not delay the others.
func (w *watcher) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range w.functions {
		all.Go(func() {
			pause := time.NewTimer(w.every)
			defer pause.Stop()
			for {
				select {
				case <-pause.C:
				case <-ctx.Done():
					return
				}
				began := time.Now()
				w.look(ctx, f)
				pause.Reset(max(w.every, watchShare*time.Since(began)))
			}
		})
	}
	all.Wait()
}

// look reloads one function if it has changed, and reports the result. A problem is reported once, until it changes.
func (w *watcher) look(ctx context.Context, f *watched) {
	tree, changed, err := f.look(ctx)
	if err == nil && changed {
		err = w.load(ctx, f, tree)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if changed || !f.waiting {
			f.problem = ""
		}
	case err.Error() != f.problem:
		f.problem = err.Error()
		w.s.say("reload: function %s keeps its code: %s", f.name, err)
	}
}

// load packs a directory and updates the function.
func (w *watcher) load(ctx context.Context, f *watched, tree codeTree) error {
	if len(tree.files) == 0 {
		return fmt.Errorf("%s is empty", f.dir)
	}
	zip, err := tree.zip(ctx)
	if errors.Is(err, fs.ErrNotExist) { // removed since the scan: the next look will see it
		f.loaded = [32]byte{}
		return nil
	}
	if err != nil {
		return err
	}
	if sum := codeSum(zip); sum == f.sum {
		return nil // saved again, or changed back
	} else if err := w.reload(ctx, f.name, zip); isCode(err, fault.CodeConflict) {
		f.loaded = [32]byte{} // another update is under way: look again
		return nil
	} else if err != nil {
		return err
	} else {
		f.sum = sum
	}
	w.s.say(
		"reload: function %s has new code: %s from %s, zipped to %s", f.name, counted(len(tree.files), "file"), f.dir,
		size(len(zip)),
	)
	return nil
}

// size returns a number of bytes for people.
func size(n int) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
