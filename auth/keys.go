package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// watchEvery is how often the file is looked at, in real time.
const watchEvery = time.Second

// Keys are the keys of a file as it is now. A file that cannot be read or is wrong changes nothing: the keys from
// before stay. Safe for concurrent use.
type Keys struct {
	path string
	log  *slog.Logger
	held atomic.Pointer[map[string]*Key]

	mu     sync.Mutex // one reading at a time
	as     state      // of the file when it was last read
	failed bool       // that reading failed
}

// state is by what a changed file is recognised.
type state struct {
	modified time.Time
	size     int64
	mode     fs.FileMode
	file     fs.FileInfo // what it is: another one may have been moved into its place
}

func (s state) same(o state) bool {
	return s.modified.Equal(o.modified) && s.size == o.size && s.mode == o.mode && s.file != nil && o.file != nil &&
		os.SameFile(s.file, o.file)
}

// Open reads a key file. It fails if the file cannot be read, is wrong, or could be read by others. A nil log is
// silent.
func Open(path string, log *slog.Logger) (*Keys, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{path: path, log: log}
	return k, k.Reload()
}

// Path returns the path of the file.
func (k *Keys) Path() string { return k.path }

// Find returns the key with an id.
func (k *Keys) Find(id string) (*Key, bool) {
	key, ok := (*k.held.Load())[id]
	return key, ok
}

// Named returns the key of whoever has this name.
func (k *Keys) Named(name string) (*Key, bool) {
	for _, key := range *k.held.Load() {
		if key.Name == name {
			return key, true
		}
	}
	return nil, false
}

// Reload reads the file again. If that fails, the keys stay what they were.
func (k *Keys) Reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, as, err := load(k.path)
	k.as, k.failed = as, err != nil
	if err != nil {
		return fmt.Errorf("the key file %s: %w", k.path, err)
	}
	k.held.Store(&keys)
	return nil
}

// Watch reads the file again whenever it has changed, until ctx ends.
func (k *Keys) Watch(ctx context.Context) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		if k.changed() {
			k.ReloadAndSay()
		}
	}
}

// ReloadAndSay is Reload that logs what came of it.
func (k *Keys) ReloadAndSay() {
	if err := k.Reload(); err != nil {
		k.log.Error("the key file is not taken over; the keys from before stay", "err", err.Error())
		return
	}
	k.log.Info("the key file is taken over", "file", k.path, "keys", len(*k.held.Load()))
}

// changed reports whether the file is another one than at the last reading.
func (k *Keys) changed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	about, err := os.Stat(k.path)
	if err != nil {
		return !k.failed // said once
	}
	return !k.as.same(stateOf(about))
}

func stateOf(about fs.FileInfo) state {
	return state{about.ModTime(), about.Size(), about.Mode(), about}
}

// load reads a key file that nobody else can read.
func load(path string) (map[string]*Key, state, error) {
	// without O_NONBLOCK a pipe would keep us until somebody writes to it
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var as state
		if about, err := os.Stat(path); err == nil {
			as = stateOf(about) // it is not tried again before it has changed
		}
		return nil, as, plain(err)
	}
	defer func() { _ = f.Close() }()
	about, err := f.Stat()
	if err != nil {
		return nil, state{}, plain(err)
	}
	as := stateOf(about)
	switch {
	case !about.Mode().IsRegular():
		return nil, as, errors.New("it is no file")
	case about.Mode().Perm()&0o077 != 0:
		return nil, as, &OpenToOthers{path, about.Mode().Perm()}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, as, plain(err)
	}
	keys, err := Parse(content)
	return keys, as, err
}

// plain is an error without the path, which the caller names.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// OpenToOthers is the error of a key file that more than its owner can use.
type OpenToOthers struct {
	Path string
	Mode fs.FileMode
}

func (e *OpenToOthers) Error() string {
	return fmt.Sprintf("it has the mode %04o, so others can use it; it must be 0600", e.Mode)
}
