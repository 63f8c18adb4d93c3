package destinationtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/fault"
)

// codeNoSuchBucket is how buckets say that one is not there.
const codeNoSuchBucket = "NoSuchBucket"

// Objects is a bucket in memory, for tests of what is put there. The zero value is one that exists. Safe for concurrent
// use.
type Objects struct {
	mu      sync.Mutex
	objects map[string]string
	gone    bool
	fail    error
	held    chan struct{} // closed once the next put blocks; nil: it does not
	release chan struct{}
}

// PutNotice keeps an object.
func (o *Objects) PutNotice(ctx context.Context, _, key string, body []byte) error {
	o.mu.Lock()
	held, release := o.held, o.release
	o.held = nil
	o.mu.Unlock()
	if held != nil {
		close(held)
		<-release
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.gone:
		return fault.New(codeNoSuchBucket, "The specified bucket does not exist")
	case o.fail != nil:
		return o.fail
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if o.objects == nil {
		o.objects = map[string]string{}
	}
	o.objects[key] = string(body)
	return nil
}

// Take empties the bucket and returns what was there, by key.
func (o *Objects) Take() map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.objects
	o.objects = nil
	return all
}

// Remove deletes the bucket, or with false makes it again.
func (o *Objects) Remove(gone bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone, o.objects = gone, nil
}

// FakeBucket returns Objects as a destination.
func FakeBucket(t *testing.T) *Bench {
	o := &Objects{}
	to, err := destination.Table{destination.S3(o)}.Open("arn:aws:s3:::dead")
	if err != nil {
		t.Fatal(err)
	}
	return &Bench{
		Sender: to, Carries: true, Replaces: true,
		Take:   func() []string { return slices.Collect(maps.Values(o.Take())) },
		Remove: func() { o.Remove(true) }, Make: func() { o.Remove(false) },
		Fail: func(on bool) {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.fail = nil; on {
				o.fail = errors.New("the disk is on fire")
			}
		},
		Hold: func() (<-chan struct{}, func()) {
			o.mu.Lock()
			defer o.mu.Unlock()
			held, release := make(chan struct{}), make(chan struct{})
			o.held, o.release = held, release
			return held, func() { close(release) }
		},
	}
}
