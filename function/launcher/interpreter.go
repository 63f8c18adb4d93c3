package launcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// interpreter is the result of a probe.
type interpreter struct {
	Path    string `json:"path"`    // the real executable, not a version manager's shim
	Version string `json:"version"` // three numbers
}

// search describes where to look for a runtime's interpreter.
type search struct {
	runtime  string
	language string   // as people call it
	named    string   // named by option: a path, or a name on PATH, which must work; "" for none
	flag     string   // the option's name
	paths    []string // tried in order if none is named
	where    string   // these places, for a person
	install  string   // what to install if there is none
	probe    []string // arguments that make it print an interpreter as JSON
	usable   func(version string) bool
	exact    func(version string) bool // ends the search; otherwise the first usable one is taken
}

// find carries out a search. Candidates that do not run, or are something else, are skipped. Success is remembered;
// failure is not, so that the next function finds an interpreter that was installed later.
func (l *Launcher) find(ctx context.Context, s search) (interpreter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.found[s.runtime]; ok {
		if executable(i.Path) {
			return i, nil
		}
		delete(l.found, s.runtime)
	}
	paths, where := s.paths, s.where
	if s.named != "" {
		where = s.flag + " " + s.named
		paths = []string{s.named}
		if !strings.ContainsRune(s.named, filepath.Separator) {
			paths = l.lookPath(s.named)
		}
	}
	var searched []string
	var nearest *interpreter
	for _, path := range paths {
		if s.named == "" && !executable(path) {
			continue
		}
		i, err := l.probe(ctx, s, path)
		if ctx.Err() != nil {
			return interpreter{}, ctx.Err() // it says nothing about the interpreter
		}
		if err != nil {
			searched = append(searched, fmt.Sprintf("%s (%v)", path, err))
			continue
		}
		if s.named != "" || s.exact(i.Version) {
			l.found[s.runtime] = i
			return i, nil
		}
		if nearest == nil {
			nearest = &i
		}
	}
	if nearest != nil {
		l.found[s.runtime] = *nearest
		return *nearest, nil
	}
	return interpreter{}, &Unusable{
		Code: "InvalidRuntime",
		Reason: fmt.Sprintf("No usable %s was found for %s. Searched: %s. Install %s or start shardmill with %s PATH.",
			s.language, s.runtime, strings.Join(append(searched, where), "; "), s.install, s.flag),
	}
}

// probe runs path once per file version; shims of version managers cost 110 to 340 ms each time, the real interpreter a
// third of that.
func (l *Launcher) probe(ctx context.Context, s search, path string) (interpreter, error) {
	info, err := os.Stat(path)
	if err != nil {
		return interpreter{}, err
	}
	key := fmt.Sprintf("%s@%d", path, info.ModTime().UnixNano())
	if i, ok := l.probed[key]; ok {
		return i, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, s.probe...)
	cmd.Env = slices.DeleteFunc(slices.Clone(l.opt.Env), func(e string) bool {
		// functions do not run under it, and it can keep Node from starting
		return strings.HasPrefix(e, "NODE_OPTIONS=")
	})
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(errout.String()), "\n")
		if line == "" {
			return interpreter{}, err
		}
		return interpreter{}, fmt.Errorf("%w: %s", err, line)
	}
	var i interpreter
	if err := json.Unmarshal(out.Bytes(), &i); err != nil || !filepath.IsAbs(i.Path) ||
		strings.Count(i.Version, ".") != 2 || !s.usable(i.Version) {
		return interpreter{}, errors.New("is no " + s.language)
	}
	l.probed[key] = i
	return i, nil
}

// bootstrap writes an embedded bootstrap to where an interpreter can read it, and returns its path as the process of r
// sees it.
func (l *Launcher) bootstrap(r Request, name string, content []byte) (string, error) {
	path, err := l.writeBootstrap(name, content)
	if err == nil && r.RuntimeRoot != "" {
		path = filepath.Join(r.RuntimeRoot, name)
	}
	return path, err
}

func (l *Launcher) writeBootstrap(name string, content []byte) (string, error) {
	path := filepath.Join(l.opt.Dir, name)
	if b, err := os.ReadFile(path); err == nil && bytes.Equal(b, content) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(l.opt.Dir, "bootstrap-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // already gone once it is renamed
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(0o444)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
