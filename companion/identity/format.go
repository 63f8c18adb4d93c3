package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/storage"
)

// formatVersion is the version of every stored value.
const formatVersion = 1

// Keys. Names of one account differ in more than case, as on AWS.
func prefix(account, kind string) string { return "iam/" + account + "/" + kind + "/" }

func key(account, kind, name string) string { return prefix(account, kind) + strings.ToLower(name) }

const (
	kindRole   = "role"
	kindPolicy = "policy"
)

// load reads one value; ok is false if there is none.
func load[T any](ctx context.Context, s *Store, key string) (v T, revision storage.Revision, ok bool, err error) {
	e, err := s.coord.Get(ctx, key)
	if err != nil || e.Revision == 0 {
		return v, 0, false, unavailable(err)
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

// all returns the values of a kind, in order of name.
func all[T any](ctx context.Context, s *Store, account, kind string) ([]T, error) {
	entries, err := s.coord.List(ctx, prefix(account, kind), "", 0)
	if err != nil {
		return nil, unavailable(err)
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
func (s *Store) save(ctx context.Context, key string, v any, expect storage.Revision) error {
	op := storage.Op{Key: key, Expect: expect}
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // our own types can always be marshalled
		}
		op.Value = b
	}
	if _, err := s.coord.Commit(ctx, key, op); err != nil {
		return fmt.Errorf("store %s: %w", key, unavailable(err))
	}
	return nil
}

// unavailable wraps an error of a store that is closed or busy as ErrUnavailable.
func unavailable(err error) error {
	if errors.Is(err, storage.ErrClosed) || errors.Is(err, storage.ErrBusy) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// impliedID returns the id of a role that was never created.
func impliedID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
