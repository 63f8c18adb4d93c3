// Package cert keeps the certificate by which a server is known over TLS: one of files that somebody else renews, or
// one that it makes itself.
//
// In flow the beginning of a TLS connection; out flow the certificate to show. Nothing is watched: files are looked at
// when a connection begins, at most once a second.
package cert

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often files are looked at, at most.
const lookEvery = time.Second

// Files is a certificate and its key in two files, which may be replaced at any time. Safe for concurrent use.
type Files struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time
	seen    [2]stamp
}

// stamp tells a file from what replaces it.
type stamp struct {
	info os.FileInfo // nil: it is not there
	size int64
	at   time.Time
}

// LoadFiles returns the certificate in the file cert, with the chain behind it, and its key in the file key, both in
// PEM. What replaces them later is used from the next connection on; if it cannot be, that is logged, and what was
// there before goes on.
func LoadFiles(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	stamps, err := f.look()
	if err != nil {
		return nil, err
	}
	if f.current, err = f.load(); err != nil {
		return nil, err
	}
	f.seen, f.looked = stamps, time.Now()
	return f, nil
}

func (f *Files) load() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s with the key %s: %w", f.cert, f.key, err)
	}
	if end := c.Leaf.NotAfter; time.Now().After(end) {
		f.log.Warn("the certificate has expired; clients will refuse it", "file", f.cert, "expired", end)
	}
	return &c, nil
}

// look returns the stamps of both files, also beside the error of one that is not there.
func (f *Files) look() (stamps [2]stamp, err error) {
	for i, name := range []string{f.cert, f.key} {
		info, missing := os.Stat(name)
		if missing != nil {
			err = cmp.Or(err, missing)
			continue
		}
		stamps[i] = stamp{info, info.Size(), info.ModTime()}
	}
	return stamps, err
}

func (s stamp) same(as stamp) bool {
	if s.info == nil || as.info == nil {
		return s.info == as.info
	}
	return os.SameFile(s.info, as.info) && s.size == as.size && s.at.Equal(as.at)
}

// Get returns the certificate for a connection that begins. It is a tls.Config's GetCertificate.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Sub(f.looked) < lookEvery {
		return f.current, nil
	}
	f.looked = now
	stamps, err := f.look()
	if stamps[0].same(f.seen[0]) && stamps[1].same(f.seen[1]) {
		return f.current, nil
	}
	f.seen = stamps
	var fresh *tls.Certificate
	if err == nil {
		fresh, err = f.load()
	}
	if err != nil { // the other file may come in a moment; until something changes again this is said once
		f.log.Warn("the new certificate cannot be used, so the old one is", "error", err)
		return f.current, nil
	}
	f.log.Info("there is a new certificate", "file", f.cert, "until", fresh.Leaf.NotAfter)
	f.current = fresh
	return f.current, nil
}
