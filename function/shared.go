package function

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// fixedPort is how the languages that we run listen on a port that is written down.
var fixedPort = regexp.MustCompile(`(?:\blisten\(\s*|\blisten\(\s*\{[^}\n]*\bport\s*:\s*|\bbind\(\s*\(\s*["'][^"'\n]*["']\s*,\s*|Server\(\s*\(\s*["'][^"'\n]*["']\s*,\s*|` +
	`\bstart_server\([^)\n]*,\s*|\brun\([^)\n]*\bport\s*=\s*|\bListenAndServe\(\s*"[^"\n]*:)([1-9][0-9]{1,4})\b`)

// sharedHint names what a package in dir uses that environments share at level none, file by file the first of each
// kind, and is "" when it finds nothing.
func sharedHint(dir string) string {
	temporary, listens, port := "", "", ""
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		hasTemporary, found := sharedIn(path)
		name, _ := filepath.Rel(dir, path)
		if hasTemporary && temporary == "" {
			temporary = name
		}
		if found != "" && port == "" {
			listens, port = name, found
		}
		if temporary != "" && port != "" {
			return fs.SkipAll
		}
		return nil
	})
	hint := ""
	if temporary != "" {
		hint = fmt.Sprintf(
			"%s names /tmp/. Isolation is none, so /tmp is shared by all environments and this machine; TMPDIR names a directory of the environment.",
			temporary,
		)
	}
	if port != "" {
		if hint != "" {
			hint += " "
		}
		hint += fmt.Sprintf(
			"%s listens on port %s. Isolation is none, so only one environment at a time can.", listens, port,
		)
	}
	return hint
}

// sharedIn looks through a file in pieces that overlap.
func sharedIn(path string) (temporary bool, port string) {
	f, err := os.Open(path)
	if err != nil {
		return false, ""
	}
	defer f.Close()
	const piece, overlap = 64 << 10, 256
	r := bufio.NewReaderSize(f, piece)
	buf := make([]byte, 0, piece+overlap)
	binary := false
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+piece])
		buf = buf[:len(buf)+n]
		if first {
			binary = bytes.IndexByte(buf, 0) >= 0
		}
		temporary = temporary || bytes.Contains(buf, []byte("/tmp/"))
		if m := fixedPort.FindSubmatch(buf); m != nil && !binary && port == "" {
			port = string(m[1])
		}
		if err != nil || temporary && (port != "" || binary) {
			return temporary, port
		}
		buf = append(buf[:0], buf[max(0, len(buf)-overlap):]...)
	}
}
