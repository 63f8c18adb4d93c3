package cert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/internal/cert"
)

// issue writes a certificate with a number and its key, as whoever renews certificates does.
func issue(t *testing.T, certFile, keyFile string, number int64) {
	t.Helper()
	chance := rand.NewChaCha8([32]byte{byte(number)}) // Go makes keys by its own chance all the same
	key, err := ecdsa.GenerateKey(elliptic.P256(), chance)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"mill.example"},
	}
	der, err := x509.CreateCertificate(chance, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, certFile, "CERTIFICATE", der)
	if keyFile != "" {
		put(t, keyFile, "PRIVATE KEY", secret)
	}
}

func put(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	next := file + ".next"
	if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

// A certificate that is renewed is shown from the next connection on, a second later at most. One whose key does not
// fit, which may be half of a renewal, changes nothing, is logged once, and counts as soon as the key does fit.
func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		issue(t, certFile, keyFile, 1)
		files, err := cert.LoadFiles(certFile, keyFile, logger)
		if err != nil {
			t.Fatal(err)
		}
		shows := func(want int64, when string) {
			t.Helper()
			c, err := files.Get(nil)
			if err != nil || c.Leaf.SerialNumber.Int64() != want {
				t.Errorf("%s: number %v, %v; want %d", when, c.Leaf.SerialNumber, err, want)
			}
		}
		shows(1, "at first")

		issue(t, certFile, keyFile, 2)
		shows(1, "within a second")
		time.Sleep(time.Second)
		shows(2, "a second later")

		issue(t, certFile, keyFile, 20)
		shows(2, "within a second of the last look")
		time.Sleep(time.Second)
		shows(20, "a second after it")

		issue(t, certFile, "", 3)
		for range 3 {
			time.Sleep(time.Second)
			shows(20, "with a key that does not fit")
		}
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("logged %d times: %s", n, &log)
		}
		issue(t, certFile, keyFile, 4)
		time.Sleep(time.Second)
		shows(4, "with the key")

		for _, gone := range []string{certFile, keyFile} {
			log.Reset()
			if err := os.Remove(gone); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				time.Sleep(time.Second)
				shows(4, "without a file")
			}
			if n := strings.Count(log.String(), "cannot be used"); n != 1 {
				t.Errorf("logged %d times that a file is gone: %s", n, &log)
			}
		}
		issue(t, certFile, keyFile, 5)
		time.Sleep(time.Second)
		shows(5, "with files again")
	})
}

// Either file may come first, and either may be written over instead of moved into its place: what is new counts once
// both belong together.
func TestEitherFileMayComeFirst(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	nextCert, nextKey := filepath.Join(dir, "next-c.pem"), filepath.Join(dir, "next-k.pem")
	moved := func(from, to string) error { return os.Rename(from, to) }
	over := func(from, to string) error { // with another time, as whoever writes a moment later gives it
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		before, err := os.Stat(to)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
		later := before.ModTime().Add(time.Second)
		return os.Chtimes(to, later, later)
	}
	like := func(from, to string) error { // moved, with the time of the one before
		before, err := os.Stat(to)
		if err != nil {
			return err
		}
		if err := os.Chtimes(from, before.ModTime(), before.ModTime()); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	synctest.Test(t, func(t *testing.T) {
		issue(t, certFile, keyFile, 1)
		files, err := cert.LoadFiles(certFile, keyFile, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		number := int64(1)
		ways := map[string]func(from, to string) error{"moved": moved, "written over": over, "alike": like}
		for how, take := range ways {
			for _, order := range [][2]string{{certFile, keyFile}, {keyFile, certFile}} {
				before := number
				number++
				issue(t, nextCert, nextKey, number)
				from := map[string]string{certFile: nextCert, keyFile: nextKey}
				for i, want := range []int64{before, number} {
					if err := take(from[order[i]], order[i]); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					if c, err := files.Get(nil); err != nil || c.Leaf.SerialNumber.Int64() != want {
						t.Errorf("%s, %s: number %v, %v; want %d", how, order[i], c.Leaf.SerialNumber, err, want)
					}
				}
			}
		}
	})
}

// What cannot be read at the start is named.
func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, other := filepath.Join(dir, "c.pem"), filepath.Join(dir, "other.pem")
	log := slog.New(slog.DiscardHandler)
	if _, err := cert.LoadFiles(certFile, certFile, log); err == nil || !strings.Contains(err.Error(), "c.pem") {
		t.Errorf("no file: %v", err)
	}
	issue(t, certFile, other, 1)
	issue(t, certFile, "", 2)
	if _, err := cert.LoadFiles(certFile, other, log); err == nil || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

// called is a connection of a client that has called an IP address.
type called struct {
	net.Conn
	ip string
}

func (c called) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 4566} }

// verify returns whether a client that trusts the file of an authority takes what the authority shows it.
func verify(t *testing.T, a *cert.Authority, hello *tls.ClientHelloInfo, as string) error {
	t.Helper()
	text, err := os.ReadFile(a.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	c, err := a.Get(hello)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: as})
	return err
}

// Who trusts the authority's file is shown a certificate with the name that it calls, if that is one of the server's,
// or with the address; the file stays the same over restarts, and so does what it vouches for. Its key is for its user
// alone.
func TestAnAuthorityVouchesForItsServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	var files []string
	for range 2 {
		a, err := cert.OpenAuthority(dir, []string{"localhost", "127.0.0.1", "::1"}, func(name string) bool {
			return strings.HasSuffix(name, ".localhost")
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(a.CA())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(text))
		for name, ok := range map[string]bool{
			"localhost": true, "things.localhost": true, "THINGS.s3.localhost": true, "evil.example": false,
		} {
			if err := verify(t, a, &tls.ClientHelloInfo{ServerName: name}, strings.ToLower(name)); (err == nil) != ok {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, ip := range []string{"127.0.0.1", "::1", "10.0.0.7"} {
			if err := verify(t, a, &tls.ClientHelloInfo{Conn: called{ip: ip}}, ip); err != nil {
				t.Errorf("%s: %v", ip, err)
			}
		}
	}
	if files[0] != files[1] {
		t.Error("clients would have to trust another file after the restart")
	}
	if info, err := os.Stat(filepath.Join(dir, "ca-key.pem")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}

// Certificates are renewed while the server runs, and the authority itself when it starts near its end. A file without
// its key is left alone.
func TestAnAuthorityRenewsWhatEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		open := func() (*cert.Authority, error) {
			return cert.OpenAuthority(dir, []string{"localhost"}, func(string) bool { return false })
		}
		a, err := open()
		if err != nil {
			t.Fatal(err)
		}
		hello := &tls.ClientHelloInfo{ServerName: "localhost"}
		for range 8 {
			time.Sleep(45 * 24 * time.Hour)
			if err := verify(t, a, hello, "localhost"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(16 * 24 * time.Hour)
		if c, err := a.Get(hello); err != nil || time.Until(c.Leaf.NotAfter) < 30*24*time.Hour {
			t.Errorf("29 days before its end a certificate is not renewed: %v", err)
		}
		before, _ := os.ReadFile(a.CA()) // verify has read it
		time.Sleep(9 * 365 * 24 * time.Hour)
		if a, err = open(); err != nil {
			t.Fatal(err)
		}
		if err := verify(t, a, hello, "localhost"); err != nil {
			t.Fatal(err)
		}
		if after, _ := os.ReadFile(a.CA()); string(after) == string(before) {
			t.Error("the authority is at its end and was not renewed")
		}
		if err := os.Remove(filepath.Join(dir, "ca-key.pem")); err != nil {
			t.Fatal(err)
		}
		if _, err := open(); err == nil || !strings.Contains(err.Error(), "without its key") {
			t.Errorf("without the key: %v", err)
		}
	})
}

// The authority is made again while the certificates that it signs could outlive it.
func TestNoCertificateOutlivesItsAuthority(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		hello := &tls.ClientHelloInfo{ServerName: "localhost"}
		for _, after := range []time.Duration{0, (10*365 - 60) * 24 * time.Hour} {
			time.Sleep(after)
			a, err := cert.OpenAuthority(dir, []string{"localhost"}, func(string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			c, err := a.Get(hello)
			if err != nil {
				t.Fatal(err)
			}
			if ca, err := x509.ParseCertificate(c.Certificate[1]); err != nil || ca.NotAfter.Before(c.Leaf.NotAfter) {
				t.Errorf("after %s: the authority ends at %v, what it signs at %v, %v", after, ca.NotAfter, c.Leaf.NotAfter, err)
			}
		}
	})
}

// Servers that start at once in one place make one authority: its certificate and its key belong together, and what one
// of them signs everybody takes who trusts the file.
func TestServersThatStartAtOnceShareAnAuthority(t *testing.T) {
	t.Parallel()
	for range 20 {
		dir := filepath.Join(t.TempDir(), "tls")
		var made [4]*cert.Authority
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range made {
			all.Go(func() {
				<-begin
				a, err := cert.OpenAuthority(dir, []string{"localhost"}, func(string) bool { return false })
				if err != nil {
					t.Error(err)
				}
				made[i] = a
			})
		}
		close(begin)
		all.Wait()
		if t.Failed() {
			return
		}
		for _, a := range made {
			if err := verify(t, a, &tls.ClientHelloInfo{ServerName: "localhost"}, "localhost"); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the directory of the key: %v, %v", info.Mode(), err)
		}
	}
}

// A start that fails between the two files leaves none that the next one could not go on from.
func TestAnAuthorityIsNotHalfMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	obstacle := filepath.Join(dir, "ca-key.pem", "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil { // which keeps the key from getting its name
		t.Fatal(err)
	}
	open := func() error {
		_, err := cert.OpenAuthority(dir, nil, func(string) bool { return false })
		return err
	}
	if err := open(); err == nil {
		t.Error("an authority without its key is made")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 1 || len(hidden) != 0 {
		t.Errorf("it leaves %v and %v, %v", left, hidden, err)
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("the next start: %v", err)
	}
}

// However many names clients call, few certificates are kept.
func TestCertificatesAreBounded(t *testing.T) {
	t.Parallel()
	a, err := cert.OpenAuthority(t.TempDir(), nil, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		name := strings.Repeat("x", i%60+1) + strings.Repeat("y", i/60) + ".localhost"
		if _, err := a.Get(&tls.ClientHelloInfo{ServerName: name}); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.Kept(); n > 256 {
		t.Errorf("%d are kept", n)
	}
}
