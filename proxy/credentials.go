package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/internal/sigv4"
)

// maxCredentials bounds a credentials file, in bytes.
const maxCredentials = 1 << 20

// Credentials are the keys in a file of AWS's shared-credentials format. The file is read again when it changes, as
// tools do that renew the keys of a session. Safe for concurrent use.
type Credentials struct {
	path string

	mu       sync.Mutex
	modified time.Time
	size     int64
	keys     map[string]sigv4.Key
}

// NewCredentials returns the keys in a file, which is not read yet.
func NewCredentials(path string) *Credentials { return &Credentials{path: path} }

// Key returns the key of a profile as the file has it now. No error holds anything that the file contains.
func (c *Credentials) Key(profile string) (sigv4.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.read(); err != nil {
		return sigv4.Key{}, fmt.Errorf("--proxy-credentials: %w", err)
	}
	k, ok := c.keys[profile]
	switch {
	case !ok:
		return k, fmt.Errorf("--proxy-credentials: %s has no profile [%s]", c.path, profile)
	case k.ID == "" || k.Secret == "":
		return k, fmt.Errorf(
			"--proxy-credentials: profile [%s] of %s lacks aws_access_key_id or aws_secret_access_key", profile, c.path,
		)
	}
	return k, nil
}

// read reads the file, unless it is as it was.
func (c *Credentials) read() error {
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	about, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !about.Mode().IsRegular():
		return fmt.Errorf("%s is no file", c.path)
	case about.Size() > maxCredentials:
		return fmt.Errorf("%s is longer than %d bytes", c.path, maxCredentials)
	case c.keys != nil && about.ModTime().Equal(c.modified) && about.Size() == c.size:
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return err
	}
	keys, err := parseCredentials(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	c.keys, c.modified, c.size = keys, about.ModTime(), about.Size()
	return nil
}

// parseCredentials reads profiles. Settings that mean something to other programs are skipped. Source: AWS SDKs and
// Tools Reference Guide, "Format of the shared config and credentials files".
func parseCredentials(b []byte) (map[string]sigv4.Key, error) {
	keys := map[string]sigv4.Key{}
	profile, begun := "", false
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxCredentials)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name, rest, ok := strings.Cut(line[1:], "]")
			if rest = strings.TrimSpace(rest); !ok || rest != "" && rest[0] != '#' && rest[0] != ';' {
				return nil, fmt.Errorf("line %d begins like a profile, and is none", n)
			}
			profile, begun = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "profile ")), true
			if _, known := keys[profile]; !known {
				keys[profile] = sigv4.Key{}
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !begun {
			return nil, fmt.Errorf("line %d is neither [profile] nor a setting of one", n)
		}
		k, value := keys[profile], strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			k.ID = value
		case "aws_secret_access_key":
			k.Secret = value
		case "aws_session_token":
			k.Session = value
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("line %d holds a control character", n)
		}
		keys[profile] = k
	}
	if lines.Err() != nil {
		return nil, errors.New("it cannot be read as lines")
	}
	return keys, nil
}
