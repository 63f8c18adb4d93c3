package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Names of the files of an Authority.
const (
	CAFile    = "ca.pem"     // what clients trust: AWS_CA_BUNDLE
	caKeyFile = "ca-key.pem" // mode 0600
)

// Lives of certificates. Both begin an hour before they are made, because clocks differ.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	early    = time.Hour
	renewed  = 30 * 24 * time.Hour // before its end
)

// maxLeaves is how many certificates are kept, each for another name.
const maxLeaves = 256

// Authority signs certificates for the names of one server, made when they are asked for and kept in memory. Its own
// certificate is in a file, which is what clients trust; it stays the same over restarts. For tests. Safe for
// concurrent use.
type Authority struct {
	dir     string
	ca      *x509.Certificate
	caKey   crypto.Signer
	names   []string // in every certificate: names and IP addresses
	allowed func(name string) bool

	mu     sync.Mutex
	key    *ecdsa.PrivateKey // of every certificate
	leaves map[string]*tls.Certificate
}

// OpenAuthority returns the authority in dir, making it if there is none. Certificates have names in them, and that by
// which the client calls if allowed says so: it gets names as clients send them, in lower case.
func OpenAuthority(dir string, names []string, allowed func(name string) bool) (*Authority, error) {
	a := &Authority{dir: dir, names: names, allowed: allowed, leaves: map[string]*tls.Certificate{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	err = a.load()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEnds) {
		err = a.create()
	}
	if err == nil {
		a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// CA returns the path of the file that clients trust.
func (a *Authority) CA() string { return filepath.Join(a.dir, CAFile) }

// lock keeps two servers from making the authority at the same time.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	_ = syscall.Flock(int(d.Fd()), syscall.LOCK_EX) // some network file systems have no locks
	return func() { _ = d.Close() }, nil
}

// errEnds says that the authority's certificate is at its end.
var errEnds = errors.New("the certificate of the authority expires")

func (a *Authority) load() error {
	pair, err := tls.LoadX509KeyPair(a.CA(), filepath.Join(a.dir, caKeyFile))
	if err != nil {
		if _, missing := os.Stat(a.CA()); errors.Is(err, fs.ErrNotExist) && missing == nil {
			return fmt.Errorf("%s is there without its key %s; remove it to have both made again", a.CA(), caKeyFile)
		}
		return err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return fmt.Errorf("%s is no certificate of an authority; remove it to have one made", a.CA())
	}
	if time.Until(pair.Leaf.NotAfter) < renewed+leafLife {
		return errEnds
	}
	a.ca, a.caKey = pair.Leaf, signer
	return nil
}

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template("shardmill, for tests", caLife)
	ca.IsCA, ca.BasicConstraintsValid, ca.MaxPathLenZero = true, true, true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// the key first: where the certificate is, its key is too
	if err := write(a.dir, caKeyFile, "PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	if err := write(a.dir, CAFile, "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	a.caKey = key
	a.ca, err = x509.ParseCertificate(der)
	return err
}

// write writes a file in PEM, by rename.
func write(dir, name, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(dir, ".cert-*")
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if cerr := f.Chmod(mode); err == nil {
		err = cerr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// template returns a certificate with a random number.
func template(name string, life time.Duration) *x509.Certificate {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // never fails
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-early), NotAfter: now.Add(life),
	}
}

// Get returns a certificate for a connection that begins. It is a tls.Config's GetCertificate.
func (a *Authority) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	switch {
	case name == "": // it calls an IP address
		name = addressOf(hello.Conn)
	case !a.allowed(name):
		name = ""
	}
	if slices.Contains(a.names, name) {
		name = ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[name]; c != nil && time.Until(c.Leaf.NotAfter) > renewed {
		return c, nil
	}
	c, err := a.sign(name)
	if err != nil {
		return nil, err
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[name] = c
	return c, nil
}

// addressOf returns the IP address that a client has called.
func addressOf(c net.Conn) string {
	if c == nil {
		return ""
	}
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("").String()
	}
	return ""
}

func (a *Authority) sign(name string) (*tls.Certificate, error) {
	leaf := template("shardmill", leafLife)
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range append(slices.Clone(a.names), name) {
		if ip, err := netip.ParseAddr(n); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip.AsSlice())
		} else if n != "" {
			leaf.DNSNames = append(leaf.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.ca, a.key.Public(), a.caKey)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.ca.Raw}, PrivateKey: a.key}
	c.Leaf, err = x509.ParseCertificate(der)
	return c, err
}
