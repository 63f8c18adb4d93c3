package iam

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/storage"
)

// formatVersion is that of every stored value.
const formatVersion = 1

// role is a stored role.
type role struct {
	Version     int               `json:"v"`
	Path        string            `json:"path"`
	Name        string            `json:"name"`
	ID          string            `json:"id"`
	Created     time.Time         `json:"created"`
	Trust       string            `json:"trust"` // the document that says who may assume it
	Description string            `json:"description,omitempty"`
	MaxSession  int               `json:"maxSession"` // seconds
	Boundary    string            `json:"boundary,omitempty"`
	Tags        []tag             `json:"tags,omitempty"`
	Inline      map[string]string `json:"inline,omitempty"`   // documents by policy name
	Attached    []string          `json:"attached,omitempty"` // ARNs of policies, in order
}

// policy is a stored managed policy.
type policy struct {
	Version     int             `json:"v"`
	Path        string          `json:"path"`
	Name        string          `json:"name"`
	ID          string          `json:"id"`
	Created     time.Time       `json:"created"`
	Updated     time.Time       `json:"updated"`
	Description string          `json:"description,omitempty"`
	Tags        []tag           `json:"tags,omitempty"`
	Default     string          `json:"default"`  // id of the version in force
	Next        int             `json:"next"`     // number of the next version
	Versions    []policyVersion `json:"versions"` // oldest first, at least one
}

type policyVersion struct {
	ID       string    `json:"id"` // v1, v2, ...
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// Keys. Names of one account differ in more than case, as on AWS.
func prefix(account, kind string) string { return "iam/" + account + "/" + kind + "/" }

func key(account, kind, name string) string { return prefix(account, kind) + strings.ToLower(name) }

const (
	kindRole   = "role"
	kindPolicy = "policy"
)

// load reads one value; ok is false when there is none.
func load[T any](ctx context.Context, h *Handler, key string) (v T, revision storage.Revision, ok bool, err error) {
	e, err := h.coord.Get(ctx, key)
	if err != nil || e.Revision == 0 {
		return v, 0, false, err
	}
	v, err = decode[T](e)
	return v, e.Revision, true, err
}

func decode[T any](e storage.Entry) (v T, err error) {
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(e.Value, &head); err != nil {
		return v, fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, e.Key, err)
	}
	if head.Version != formatVersion {
		return v, fmt.Errorf(
			"read %s: format version %d is not known here; it was written by a newer release", e.Key, head.Version,
		)
	}
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return v, fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, e.Key, err)
	}
	return v, nil
}

// all are the values of a kind, in the order of their names.
func all[T any](ctx context.Context, h *Handler, account, kind string) ([]T, error) {
	entries, err := h.coord.List(ctx, prefix(account, kind), "", 0)
	if err != nil {
		return nil, err
	}
	var out []T
	for _, e := range entries {
		v, err := decode[T](e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// save stores a value, durably; a nil one is deleted.
func (h *Handler) save(ctx context.Context, key string, v any, expect storage.Revision) error {
	op := storage.Op{Key: key, Expect: expect}
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // our own types always marshal
		}
		op.Value = b
	}
	if _, err := h.coord.Commit(ctx, key, op); err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	return nil
}

// now returns the steered time in whole seconds, which is all that answers carry.
func (h *Handler) now() time.Time { return h.clock.Now().UTC().Truncate(time.Second) }

// newID returns a unique id: AROA for roles, ANPA for policies, and 17 letters and digits.
func newID(kind string) string { return kind + rand.Text()[:17] }
