package topic

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/storage"
)

// Create makes a topic, durably. Creating one again is harmless unless a given attribute or tag differs from the
// topic's. Faults: InvalidParameter, TagLimitExceeded.
func (ts *Topics) Create(ctx context.Context, name Name, attributes map[string]string, tags []Tag) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !name.valid() {
		return Invalid("Topic Name")
	}
	m := meta{Version: formatVersion, Created: ts.o.Clock.Now().UnixMilli()}
	for attribute, value := range attributes {
		if err := m.set(attribute, value, "Attributes"); err != nil {
			return err
		}
	}
	if m.Tags, err = mergeTags(nil, tags); err != nil {
		return err
	}
	ts.change.Lock()
	defer ts.change.Unlock()
	has, there, err := ts.find(name)
	if err != nil {
		return err
	}
	if there {
		return has.same(&m, attributes)
	}
	return ts.put(ctx, "create topic "+name.ARN(), topicKey(name), m)
}

// same refuses what is given for a topic that exists and differs from it.
func (m *meta) same(given *meta, attributes map[string]string) error {
	for attribute := range attributes {
		if attribute == "DisplayName" && given.DisplayName != m.DisplayName ||
			attribute == "Policy" && given.Policy != m.Policy {
			return Invalid("Attributes Reason: Topic already exists with different attributes")
		}
	}
	for _, t := range given.Tags {
		if !slices.Contains(m.Tags, t) {
			return Invalid("Tags Reason: Topic already exists with different tags")
		}
	}
	return nil
}

// find reads a topic.
func (ts *Topics) find(name Name) (m meta, there bool, err error) {
	if !name.valid() {
		return m, false, nil
	}
	key := topicKey(name)
	value, there, err := ts.o.Local.Get(key)
	if err == nil && there {
		m, err = decode[meta](key, value)
	}
	if err != nil {
		return m, false, storageFault("read topic "+name.ARN(), err)
	}
	return m, there, nil
}

// put stores a client's value.
func (ts *Topics) put(ctx context.Context, doing string, key []byte, v any) error {
	op := storage.LocalOp{Key: key, Value: encode(v), Refusable: true}
	if err := ts.o.Local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault(doing, err)
	}
	return nil
}

// edit changes a topic that exists; missing is the fault if it does not.
func (ts *Topics) edit(ctx context.Context, name Name, missing func() error, change func(*meta) error) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	ts.change.Lock()
	defer ts.change.Unlock()
	m, there, err := ts.find(name)
	if err != nil {
		return err
	}
	if !there {
		return missing()
	}
	if err := change(&m); err != nil {
		return err
	}
	return ts.put(ctx, "change topic "+name.ARN(), topicKey(name), m)
}

// Delete deletes a topic with its subscriptions, durably; none is harmless.
func (ts *Topics) Delete(ctx context.Context, name Name) error {
	leave, err := ts.enter()
	if err != nil || !name.valid() {
		if err == nil {
			leave()
		}
		return err
	}
	defer leave()
	ts.change.Lock()
	defer ts.change.Unlock()
	prefix := subscriptionsOf(name)
	err = ts.o.Local.Apply(context.WithoutCancel(ctx), storage.Sync, storage.LocalOp{Key: topicKey(name)},
		storage.LocalOp{Key: []byte(prefix), Until: after(prefix)})
	if err != nil {
		return storageFault("delete topic "+name.ARN(), err)
	}
	ts.forget(name)
	return nil
}

// List returns up to n names of an account's topics in a region that sort behind after, in byte order, and whether
// there are more.
func (ts *Topics) List(_ context.Context, account, region, behind string, n int) (
	names []string, more bool, err error,
) {
	leave, err := ts.enter()
	if err != nil {
		return nil, false, err
	}
	defer leave()
	base := topicsOf(account, region)
	if !arn.IsAccount(account) || !validRegion(region) {
		return nil, false, fmt.Errorf(
			"list topics of account %q in region %q: there are no such topics", account, region,
		)
	}
	err = ts.o.Local.Scan([]byte(base+behind), after(base), false, func(k, _ []byte) bool {
		name := strings.TrimPrefix(string(k), base)
		if name == behind {
			return true
		}
		if more = len(names) == n; more {
			return false
		}
		names = append(names, name)
		return true
	})
	if err != nil {
		return nil, false, storageFault("list topics", err)
	}
	return names, more, nil
}
