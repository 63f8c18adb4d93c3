package topic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/shardmill/shardmill/storage"
)

// formatVersion is the version of every stored value. docs/format/topic.md describes the bytes.
const formatVersion = 1

// The key families, all under our prefix.
const (
	prefixTopic        = "topic/t/" // account / region / name → meta
	prefixSubscription = "topic/s/" // account / region / name / id → subscribed
)

// meta is what is stored about a topic.
type meta struct {
	Version     int    `json:"v"`
	Created     int64  `json:"created"` // Unix milliseconds
	DisplayName string `json:"displayName,omitempty"`
	Policy      string `json:"policy,omitempty"`
	Tags        []Tag  `json:"tags,omitempty"` // in the order of their keys
}

// Tag is a label of a topic.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// subscribed is what is stored about a subscription.
type subscribed struct {
	Version int    `json:"v"`
	Created int64  `json:"created"` // Unix milliseconds
	Owner   string `json:"owner"`   // account
	Queue   string `json:"queue"`   // ARN
	Raw     bool   `json:"raw,omitempty"`
}

func topicsOf(account, region string) string { return prefixTopic + account + "/" + region + "/" }

func topicKey(n Name) []byte { return []byte(topicsOf(n.Account, n.Region) + n.Name) }

func subscriptionsOf(n Name) string {
	return prefixSubscription + n.Account + "/" + n.Region + "/" + n.Name + "/"
}

func subscriptionKey(n Name, id string) []byte { return []byte(subscriptionsOf(n) + id) }

// after returns the first key behind all that begin with prefix, which ends with a slash.
func after(prefix string) []byte { return []byte(strings.TrimSuffix(prefix, "/") + "0") }

// splitSubscriptionKey takes a key of a subscription apart.
func splitSubscriptionKey(key []byte) (n Name, id string, err error) {
	p := strings.Split(strings.TrimPrefix(string(key), prefixSubscription), "/")
	if len(p) != 4 || !strings.HasPrefix(string(key), prefixSubscription) {
		return n, "", fmt.Errorf("%w: the key %q is not that of a subscription", storage.ErrCorrupt, key)
	}
	n, id = Name{p[0], p[1], p[2]}, p[3]
	if !n.valid() || !validID(id) {
		return n, "", fmt.Errorf("%w: the key %q is not that of a subscription", storage.ErrCorrupt, key)
	}
	return n, id, nil
}

// validID reports whether s can be the id of a subscription: a UUID in its canonical text.
func validID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	return b
}

// decode reads a stored value.
func decode[T any](key, value []byte) (v T, err error) {
	var head struct {
		Version int `json:"v"`
	}
	switch err = json.Unmarshal(value, &head); {
	case err == nil && head.Version != formatVersion:
		err = fmt.Errorf("version %d is not known to this program, which writes version %d", head.Version, formatVersion)
	case err == nil:
		err = json.Unmarshal(value, &v)
	}
	if err != nil {
		return v, fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, key, err)
	}
	return v, nil
}
