package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// newToken is a fresh token for the control API.
func newToken() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// TokenFile is where the token of the server at hostport lies: in a directory of this user alone.
func TokenFile(hostport string) (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("there is no place for the server's token: %w; set XDG_RUNTIME_DIR or HOME", err)
		}
	}
	host, port, _ := strings.Cut(hostport, ":")
	if host == "localhost" || host == "" {
		host = "127.0.0.1"
	}
	return filepath.Join(base, "shardmill", host+"_"+port+".token"), nil
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
}

func (r Ready) bytes() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and an int
	}
	return append(b, '\n')
}
