package bucket

import (
	"context"
	"strings"
)

// Query selects objects or uploads of a bucket.
type Query struct {
	Prefix    string
	Delimiter string // "": keys are not grouped
	After     string // a key or a group; only what sorts behind it
	Max       int    // of keys and groups together
}

// Listed is an object in a list: without what may be large, its metadata and tags.
type Listed struct {
	Key string
	Summary
	Checksum
}

// Page is a part of a list, in the order of the bytes of keys.
type Page struct {
	Objects []Listed
	Groups  []string // common prefixes, up to the delimiter and with it
	Last    string   // the key or group at which a further page goes on; "" if there is none
}

// groupOf returns the common prefix that a key belongs to; "": none.
func (q *Query) groupOf(key string) string {
	if q.Delimiter == "" || !strings.HasPrefix(key, q.Prefix) {
		return ""
	}
	group, _, found := strings.Cut(strings.TrimPrefix(key, q.Prefix), q.Delimiter)
	if !found {
		return ""
	}
	return q.Prefix + group + q.Delimiter
}

// start returns the first key that may be in the list.
func (q *Query) start() string {
	switch {
	case q.After < q.Prefix:
		return q.Prefix
	case q.After != "" && q.groupOf(q.After) == q.After:
		return behind(q.After)
	case q.After != "":
		return q.After + "\x00"
	}
	return ""
}

// behind returns the first key behind all that begin with a prefix. Keys are UTF-8, so that none begins with 0xff.
func behind(prefix string) string { return prefix + "\xff" }

// List returns a page of a bucket's objects. Faults: NoSuchBucket.
func (bs *Buckets) List(_ context.Context, bucket string, q Query) (Page, error) {
	leave, err := bs.enter()
	if err != nil {
		return Page{}, err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return Page{}, err
	}
	defer release()
	var p Page
	last, more := "", false
	base := numbered(prefixObject, b.meta.Number)
	end := append(append([]byte{}, base...), behind(q.Prefix)...)
	for from := q.start(); ; {
		group, bad := "", error(nil)
		err := bs.local.Scan(append(append([]byte{}, base...), from...), end, false, func(k, v []byte) bool {
			key := string(k[len(base):])
			if len(p.Objects)+len(p.Groups) >= q.Max {
				more = true
				return false
			}
			if group = q.groupOf(key); group != "" {
				return false
			}
			var d Description
			if _, bad = decodeHead(v, "object", &d); bad != nil {
				return false
			}
			p.Objects, last = append(p.Objects, Listed{key, d.Summary, d.Checksum}), key
			return true
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return Page{}, storageFault("list bucket "+bucket, err)
		}
		if more || group == "" {
			break
		}
		p.Groups, last = append(p.Groups, group), group
		from = behind(group)
	}
	if more {
		p.Last = last
	}
	return p, nil
}
