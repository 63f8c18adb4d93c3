package bucket

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
)

// MaxBuckets is how many buckets an account may have. Source: S3 User Guide, "General purpose bucket quotas".
const MaxBuckets = 10_000

// Info describes a bucket.
type Info struct {
	Name    string
	Account string // of the owner
	Region  string
	Created time.Time

	policy *policy.Document // nil: none
}

func (b *bucket) info() Info {
	return Info{b.name, b.meta.Account, b.meta.Region, time.UnixMilli(b.meta.Created).UTC(), b.meta.document}
}

// validName reports whether S3 would take a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, which
// begins and ends with a letter or a digit, has no two dots beside each other, is no address, and has none of S3's own
// prefixes and suffixes. Source: S3 User Guide, "General purpose bucket naming rules".
func validName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (c != '-' && c != '.' || i == 0 || i == len(name)-1) {
			return false
		}
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// Create makes a bucket, durably, for an account in a region. Names belong to all accounts and regions together. Making
// one's own bucket again is refused, except in us-east-1, where AWS changes nothing and says so. Faults:
// InvalidBucketName; InvalidTag; BucketAlreadyExists; BucketAlreadyOwnedByYou; TooManyBuckets.
func (bs *Buckets) Create(ctx context.Context, account, region, name string, tags []Tag) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !validName(name) {
		return fault.New(CodeInvalidBucketName, "The specified bucket is not valid.")
	}
	if err := checkTags(tags, MaxBucketTags); err != nil {
		return err
	}
	bs.define.Lock()
	defer bs.define.Unlock()
	switch has, err := bs.look(name); {
	case err == nil && has.Account != account:
		return fault.New(CodeBucketExists, "The requested bucket name is not available. The bucket namespace is shared "+
			"by all users of the system. Please select a different name and try again.").
			WithStatus(http.StatusConflict)
	case err == nil && region == "us-east-1" && has.Region == region:
		return nil
	case err == nil:
		return fault.New(CodeBucketOwned, "Your previous request to create the named bucket succeeded and you already "+
			"own it.").WithStatus(http.StatusConflict)
	case fault.CodeOf(err) != CodeNoSuchBucket:
		return err
	}
	if count, err := bs.count(account); err != nil || count >= MaxBuckets {
		if err == nil {
			err = fault.New(CodeTooManyBuckets, "You have attempted to create more buckets than allowed")
		}
		return err
	}
	m := meta{Number: bs.nextID, Account: account, Region: region, Created: bs.clock.Now().UnixMilli(), Tags: tags}
	err = bs.local.Apply(context.WithoutCancel(ctx), storage.Sync,
		storage.LocalOp{Key: []byte(prefixNext), Value: encodeNextID(m.Number + 1)},
		storage.LocalOp{Key: bucketKey(name), Value: encodeMeta(m), Refusable: true})
	if err != nil {
		return storageFault("create bucket "+name, err)
	}
	bs.nextID++
	bs.mu.Lock()
	bs.buckets[name] = &bucket{name: name, meta: m}
	bs.mu.Unlock()
	return nil
}

func (bs *Buckets) count(account string) (n int, err error) {
	err = bs.each("", func(i Info) bool {
		if i.Account == account {
			n++
		}
		return true
	})
	return n, err
}

// each visits the buckets of all accounts behind a name, in order.
func (bs *Buckets) each(after string, visit func(Info) bool) error {
	var bad error
	err := bs.local.Scan(bucketKey(after), bucketKey("\xff"), false, func(k, v []byte) bool {
		name := string(k[len(prefixBucket):])
		if name == after {
			return true
		}
		m, err := decodeMeta(v)
		if err != nil {
			bad = err
			return false
		}
		return visit((&bucket{name: name, meta: m}).info())
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return storageFault("list buckets", err)
	}
	return nil
}

// All returns up to n buckets of an account whose names sort behind after and begin with prefix, and whether there are
// more; region "" means all regions.
func (bs *Buckets) All(_ context.Context, account, region, prefix, after string, n int) (
	list []Info, more bool, err error,
) {
	leave, err := bs.enter()
	if err != nil {
		return nil, false, err
	}
	defer leave()
	err = bs.each(after, func(i Info) bool {
		if i.Account != account || region != "" && i.Region != region || !strings.HasPrefix(i.Name, prefix) {
			return true
		}
		if len(list) == n {
			more = true
			return false
		}
		list = append(list, i)
		return true
	})
	return list, more, err
}

// Look returns a bucket's description. Faults: NoSuchBucket.
func (bs *Buckets) Look(_ context.Context, name string) (Info, error) {
	leave, err := bs.enter()
	if err != nil {
		return Info{}, err
	}
	defer leave()
	return bs.look(name)
}

func (bs *Buckets) look(name string) (Info, error) {
	b, release, err := bs.use(name)
	if err != nil {
		return Info{}, err
	}
	defer release()
	return b.info(), nil
}

// Delete deletes an empty bucket and the uploads that were not completed in it, and returns when that is durable. The
// name can be used again at once. Faults: NoSuchBucket; BucketNotEmpty.
func (bs *Buckets) Delete(ctx context.Context, name string) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	bs.define.Lock()
	defer bs.define.Unlock()
	b, err := bs.find(name)
	if err != nil {
		return err
	}
	b.gate.Lock()
	defer b.gate.Unlock()
	empty := true
	number := b.meta.Number
	err = bs.local.Scan(numbered(prefixObject, number), numbered(prefixObject, number+1), false,
		func([]byte, []byte) bool { empty = false; return false })
	if err != nil {
		return storageFault("delete bucket "+name, err)
	}
	if !empty {
		return fault.New(CodeBucketNotEmpty, "The bucket you tried to delete is not empty").
			WithStatus(http.StatusConflict)
	}
	var uploads []uploadID
	err = bs.local.Scan(numbered(prefixUpload, number), numbered(prefixUpload, number+1), false,
		func(k, _ []byte) bool {
			if _, id, ok := splitUploadKey(k); ok {
				uploads = append(uploads, id)
			}
			return true
		})
	ops := []storage.LocalOp{
		{Key: bucketKey(name)},
		{Key: numbered(prefixUpload, number), Until: numbered(prefixUpload, number+1)},
	}
	var lost []blob
	for _, id := range uploads {
		if err == nil {
			ops, lost, err = bs.forget(ops, lost, id)
		}
	}
	if err == nil {
		err = bs.replace(ctx, lost, ops...)
	}
	if err != nil {
		return storageFault("delete bucket "+name, err)
	}
	b.deleted = true
	bs.mu.Lock()
	delete(bs.buckets, name)
	bs.deletes++
	bs.mu.Unlock()
	return nil
}
