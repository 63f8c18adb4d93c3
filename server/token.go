package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// newToken returns a fresh token for the control API.
func newToken() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// TokenFile returns the path of the token of the server at hostport, or at unix:PATH: in a directory that only this
// user can read.
func TokenFile(hostport string) (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("there is no place for the server's token: %w; set XDG_RUNTIME_DIR or HOME", err)
		}
	}
	if path, ok := strings.CutPrefix(hostport, unixPrefix); ok {
		return filepath.Join(base, "shardmill", "unix"+strings.ReplaceAll(path, "/", "_")+".token"), nil
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = hostport, ""
	}
	if host == "localhost" || host == "" {
		host = "127.0.0.1"
	}
	return filepath.Join(base, "shardmill", strings.ReplaceAll(host, ":", "-")+"_"+port+".token"), nil
}

// DataTokenFile returns the path of the token of a server with data directory dir.
func DataTokenFile(dir string) string { return filepath.Join(dir, "token") }

// keepToken writes the token file and removes those of servers of this user that were killed. The file belongs to the
// process that holds the lock on it: the system releases the lock however that process ends. A process that writes or
// removes token files holds the lock of their directory meanwhile, so that none removes what another has just written.
func keepToken(path, token string) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, locked := lockTokens(dir)
	defer unlock()
	if locked { // some network file systems have no locks: there, old files stay
		sweepTokens(dir)
	}
	f, err := os.CreateTemp(dir, unfinished+"*") // mode 0600
	if err != nil {
		return nil, err
	}
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if _, err = f.WriteString(token + "\n"); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// dropToken removes the token file, unless it is that of a server that has taken our port since, and ends our hold on
// it.
func dropToken(path string, f *os.File) {
	unlock, _ := lockTokens(filepath.Dir(path))
	defer unlock()
	defer func() { _ = f.Close() }()
	ours, err := f.Stat()
	if err != nil {
		return
	}
	if now, err := os.Stat(path); err == nil && os.SameFile(ours, now) {
		_ = os.Remove(path)
	}
}

// lockTokens waits for the lock of the directory of tokens, which is never held for long.
func lockTokens(dir string) (unlock func(), locked bool) {
	d, err := os.Open(dir)
	if err != nil {
		return func() {}, false
	}
	locked = syscall.Flock(int(d.Fd()), syscall.LOCK_EX) == nil
	return func() { _ = d.Close() }, locked
}

// unfinished begins the names of token files that are still being written.
const unfinished = ".token-"

// sweepTokens removes token files that no server holds. The lock of dir is held.
func sweepTokens(dir string) {
	for _, pattern := range []string{"*.token", unfinished + "*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range found {
			f, err := os.Open(path)
			if err != nil {
				continue
			}
			if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				_ = os.Remove(path)
			}
			_ = f.Close()
		}
	}
}

// writePrivate writes a file that only this user can read, by rename, so that a reader sees all of it or nothing.
func writePrivate(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".shardmill-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Ready is the content of a --ready-file.
type Ready struct {
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
	Version  string `json:"version"`
	// all that the server listens on, Endpoint among them
	Addresses []string `json:"addresses"`
	// the certificate to trust, of a server that signs its own
	CA string `json:"ca,omitempty"`
}

func (r Ready) bytes() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and an int
	}
	return append(b, '\n')
}

// dropReady removes the ready file of the server with this token. One that has been started while that drained may have
// written its own meanwhile, which stays.
func dropReady(path, token string) {
	var now Ready
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &now) == nil && now.Token == token {
		_ = os.Remove(path)
	}
}
