package launcher

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // survey.py
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed python/survey.py
var pythonSurvey string

// survey is what functions need to know about a Python: which modules AWS bundles and where they are. It is valid until
// something is installed.
type survey struct {
	Reads     []string `json:"reads"`     // directories that functions must be able to read
	Installed []string `json:"installed"` // where the interpreter finds installed packages
	Watch     []string `json:"watch"`     // directories whose modification time changes when something is installed

	text  []byte   // in the form that the bootstrap reads
	times []string // of Watch
}

// surveyTimeout bounds one survey, which takes a tenth of a second unless the disk is slow.
const surveyTimeout = 20 * time.Second

// survey runs python, unless it has done so and nothing was installed since. dir holds the runtime's modules, which it
// compiles.
func (l *Launcher) survey(ctx context.Context, python, dir string) (survey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.surveyed[python]; ok && slices.Equal(s.times, modificationTimes(s.Watch)) {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-I", "-c", pythonSurvey, dir)
	cmd.Env = l.opt.Env
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	if err := cmd.Run(); err != nil {
		return survey{}, fmt.Errorf("ask %s what is installed: %w: %s", python, err, strings.TrimSpace(errout.String()))
	}
	s := survey{text: out.Bytes()}
	if err := json.Unmarshal(s.text, &s); err != nil {
		return survey{}, fmt.Errorf("ask %s what is installed: %w", python, err)
	}
	s.times = modificationTimes(s.Watch)
	l.surveyed[python] = s
	return s, nil
}

// name returns the name of the survey's file: a new one after each installation, so that no start reads a changing
// file.
func (s survey) name() string {
	return fmt.Sprintf("packages-%x.json", sha256.Sum256(s.text))
}

func modificationTimes(dirs []string) []string {
	times := make([]string, len(dirs))
	for i, dir := range dirs {
		if info, err := os.Stat(dir); err == nil {
			times[i] = info.ModTime().String()
		}
	}
	return times
}

// besideSystem returns dirs without those below /usr, which every process sees, and without those inside another one.
func besideSystem(dirs []string) []string {
	var out []string
	for _, dir := range slices.Sorted(slices.Values(dirs)) {
		inside := func(outer string) bool {
			return dir == outer || strings.HasPrefix(dir, outer+string(filepath.Separator))
		}
		if dir == "/" || inside("/usr") || slices.ContainsFunc(out, inside) {
			continue
		}
		out = append(out, dir)
	}
	return out
}
