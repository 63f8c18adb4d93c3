package function

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"sync"
)

// keyring knows which access keys belong to which version of a function. A key lives as long as its environment.
type keyring struct {
	mu      sync.RWMutex
	holders map[string]holder
}

type holder struct {
	ref     Ref
	version string
	cred    credentials
}

// credentials sign the calls of one environment.
type credentials struct{ accessKey, secret, token string }

// issue makes credentials for an environment of a version.
func (k *keyring) issue(ref Ref, version string) credentials {
	var raw [10 + 30 + 48]byte
	_, _ = rand.Read(raw[:]) // never fails, says crypto/rand
	c := credentials{
		accessKey: "ASIA" + base32.StdEncoding.EncodeToString(raw[:10]),
		secret:    base64.StdEncoding.EncodeToString(raw[10:40]),
		token:     base64.StdEncoding.EncodeToString(raw[40:]),
	}
	k.mu.Lock()
	k.holders[c.accessKey] = holder{ref, version, c}
	k.mu.Unlock()
	return c
}

func (k *keyring) revoke(accessKey string) {
	k.mu.Lock()
	delete(k.holders, accessKey)
	k.mu.Unlock()
}

func (k *keyring) lookup(accessKey string) (holder, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	h, ok := k.holders[accessKey]
	return h, ok
}
