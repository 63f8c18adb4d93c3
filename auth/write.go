package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// New returns a key with a new id and a new secret. Account "" is DefaultAccount.
func New(name, account string, rights Rights) *Key {
	var raw [10 + 30]byte
	_, _ = rand.Read(raw[:]) // never fails, says crypto/rand
	if account == "" {
		account = DefaultAccount
	}
	return &Key{
		ID: "AKIA" + base32.StdEncoding.EncodeToString(raw[:10]), Name: name, Account: account, Rights: rights,
		Secret: base64.StdEncoding.EncodeToString(raw[10:]),
	}
}

// head begins a new key file.
const head = `# Access keys of shardmill. Whoever can read this file can do what its keys may; it must have the mode 0600.
# A change takes effect within a second.
keys:
`

// Add writes a key to the end of a file, which it creates if there is none, and changes nothing of what the file says
// already. The file is replaced as a whole, so that a server reads the old one or the new one. It fails, and changes
// nothing, if the file is wrong or has a key of that name already.
func Add(path string, k *Key) error {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved // the link stays a link
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	before, mode, err := present(path)
	if err != nil {
		return fmt.Errorf("the key file %s: %w", path, err)
	}
	content := append(before, entry(k, indentOf(before))...)
	if keys, err := Parse(content); err != nil {
		return fmt.Errorf("the key file %s: %w; nothing was written", path, err)
	} else if keys[k.ID] == nil {
		return fmt.Errorf("the key file %s: its last lines are not the list of keys; nothing was written", path)
	}
	return replace(path, content, mode)
}

// lock waits for the lock of a directory, so that of two who add a key at once none writes over the other's.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	_ = syscall.Flock(int(d.Fd()), syscall.LOCK_EX) // some network file systems have no locks
	return func() { _ = d.Close() }, nil
}

// present returns what a file holds, ready for one more key, and its mode.
func present(path string) ([]byte, fs.FileMode, error) {
	keys, as, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []byte(head), 0o600, nil
	}
	if err != nil {
		return nil, 0, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, plain(err)
	}
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		content = []byte(head)
	case len(keys) == 0 && !strings.HasSuffix(strings.TrimRight(string(content), " \n"), "keys:"):
		return nil, 0, errors.New("it has no list of keys that one could be added to; write keys: as its last line")
	case content[len(content)-1] != '\n':
		content = append(content, '\n')
	}
	return content, as.mode.Perm(), nil
}

// indentOf returns how far the keys of a file are indented.
func indentOf(content []byte) string {
	root, err := document(content)
	if err != nil || root == nil || root.Kind != yaml.MappingNode || len(root.Content) != 2 {
		return "  "
	}
	if list := root.Content[1]; list.Kind == yaml.MappingNode && len(list.Content) > 0 {
		return strings.Repeat(" ", max(0, list.Content[0].Column-1))
	}
	return "  "
}

// entry is a key as a file has it.
func entry(k *Key, indent string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, indent+format+"\n", args...) }
	line("%s:", k.ID)
	line("  name: %q", k.Name)
	line("  secret: %q", k.Secret)
	line("  account: %q", k.Account)
	line("  role: %s", k.Rights.Role)
	if k.Rights.Streams != nil {
		line("  streams:")
		for _, p := range k.Rights.Streams {
			line("    - %q", p)
		}
	}
	return b.String()
}

// replace writes a file by rename, with a sync before it.
func replace(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".shardmill-keys-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
