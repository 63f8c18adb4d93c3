package bucket

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Upload is an object that is being uploaded in parts.
type Upload struct {
	Attributes
	Tags []Tag `json:",omitempty"`
	UploadSummary
}

// UploadSummary is the part of an Upload that every list shows.
type UploadSummary struct {
	Algorithm Algorithm `json:",omitempty"` // of the checksums of its parts; "": what each part says
	Composite bool      `json:",omitempty"` // the checksum of the object is one over those of its parts
	Initiated int64     // Unix milliseconds
}

// Began returns when the upload began.
func (u *UploadSummary) Began() time.Time { return time.UnixMilli(u.Initiated).UTC() }

// text returns an upload's id as clients see it.
func (id uploadID) text() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseUploadID(text string) (id uploadID, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	copy(id[:], b)
	return id, true
}

// Begin begins an upload in parts, durably, and returns its id. Faults: NoSuchBucket; KeyTooLongError; InvalidArgument
// (key); InvalidTag.
func (bs *Buckets) Begin(ctx context.Context, bucket, key string, u Upload) (string, error) {
	leave, err := bs.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	if err := checkKey(key); err != nil {
		return "", err
	}
	if err := checkTags(u.Tags, MaxObjectTags); err != nil {
		return "", err
	}
	b, release, err := bs.use(bucket)
	if err != nil {
		return "", err
	}
	defer release()
	u.Initiated = bs.clock.Now().UnixMilli()
	id := newUploadID(u.Initiated)
	op := storage.LocalOp{Key: uploadKey(b.meta.Number, key, id), Value: encode(u), Refusable: true}
	if err := bs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return "", storageFault(fmt.Sprintf("begin the upload of %q to bucket %s", key, bucket), err)
	}
	return id.text(), nil
}

// upload finds an upload under way. The bucket is in use.
func (bs *Buckets) upload(b *bucket, key, text string) (id uploadID, u Upload, err error) {
	id, ok := parseUploadID(text)
	if !ok {
		return id, u, noSuchUpload()
	}
	value, ok, err := bs.local.Get(uploadKey(b.meta.Number, key, id))
	switch {
	case err != nil:
	case !ok:
		return id, u, noSuchUpload()
	default:
		err = decode(value, "upload", &u)
	}
	if err != nil {
		return id, u, storageFault("read an upload to bucket "+b.name, err)
	}
	return id, u, nil
}

// hold keeps an upload from changing until release is called. The bucket is in use, and no object of it is locked.
func (b *bucket) hold(id uploadID) (release func()) {
	m := &b.uploads[id[len(id)-1]%stripes]
	m.Lock()
	return m.Unlock
}

// forget adds what ends an upload to ops, and what it referred to to lost.
func (bs *Buckets) forget(ops []storage.LocalOp, lost []blob, id uploadID) ([]storage.LocalOp, []blob, error) {
	err := bs.parts(id, 0, func(p *storedPart) bool {
		ops = refer(ops, p.owner, p.pieces, false)
		lost = append(lost, names(p.pieces)...)
		return true
	})
	ops = append(ops, storage.LocalOp{Key: partKey(id, 0), Until: append(partKey(id, math.MaxUint16), 0)})
	return ops, lost, err
}

// Abort ends an upload and deletes its parts; a part that is being written is refused. Faults: NoSuchBucket;
// NoSuchUpload.
func (bs *Buckets) Abort(ctx context.Context, bucket, key, upload string) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return err
	}
	defer release()
	id, _ := parseUploadID(upload)
	defer b.hold(id)()
	if _, _, err = bs.upload(b, key, upload); err != nil {
		return err
	}
	ops, lost, err := bs.forget([]storage.LocalOp{{Key: uploadKey(b.meta.Number, key, id)}}, nil, id)
	if err != nil {
		return err
	}
	if err := bs.replace(ctx, lost, ops...); err != nil {
		return storageFault("abort an upload to bucket "+bucket, err)
	}
	return nil
}

// BadDigest returns the fault of a checksum that is not that of the bytes.
func BadDigest(a Algorithm) *fault.Error {
	return fault.New(CodeBadDigest, "The %s you specified did not match the calculated checksum.", a).
		WithStatus(http.StatusBadRequest)
}

// Uploading is an upload in a list: without what may be large, its metadata and tags.
type Uploading struct {
	Key, ID string
	UploadSummary
}

// UploadPage is a part of a list of uploads, in the order of keys, then of their beginning.
type UploadPage struct {
	Uploads []Uploading
	Groups  []string
	// where a further page goes on: behind an upload of a key, or behind a group; "" if there is none
	Last, LastID string
}

// Uploads returns a page of a bucket's uploads. With afterID, only uploads behind that one of the key q.After and those
// of later keys. Faults: NoSuchBucket; InvalidArgument.
func (bs *Buckets) Uploads(_ context.Context, bucket string, q Query, afterID string) (page UploadPage, err error) {
	leave, err := bs.enter()
	if err != nil {
		return page, err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return page, err
	}
	defer release()
	base := numbered(prefixUpload, b.meta.Number)
	from := appendEscaped(append([]byte{}, base...), q.start())
	if id, ok := parseUploadID(afterID); afterID != "" && q.After != "" {
		if !ok {
			return page, fault.New(CodeInvalidArgument, "Invalid uploadId marker")
		}
		from = append(uploadKey(b.meta.Number, q.After, id), 0)
	}
	var bad error
	group, key, id := "", "", ""
	more := false
	err = bs.local.Scan(from, numbered(prefixUpload, b.meta.Number+1), false, func(k, v []byte) bool {
		next, upload, _ := splitUploadKey(k)
		g := q.groupOf(next)
		switch {
		case next < q.Prefix || g != "" && g == group:
			return true
		case !strings.HasPrefix(next, q.Prefix):
			return false
		}
		if more = len(page.Uploads)+len(page.Groups) == q.Max; more {
			return false
		}
		if group = g; g != "" {
			page.Groups = append(page.Groups, g)
			key, id = g, ""
			return true
		}
		var u Upload
		if bad = decode(v, "upload", &u); bad != nil {
			return false
		}
		key, id = next, upload.text()
		page.Uploads = append(page.Uploads, Uploading{key, id, u.UploadSummary})
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return page, storageFault("list the uploads to bucket "+bucket, err)
	}
	if more {
		page.Last, page.LastID = key, id
	}
	return page, nil
}
