// Package translate rewrites the names in requests and answers: ARNs, queue URLs, accounts and regions of one side
// become those of the other.
//
// A body comes in, the same body with other names goes out. Which places hold names is a table for each service
// (rules.go): a place that is in no table is left as it is, to the byte, so that messages, items and log lines arrive
// as they were sent. A body that cannot be read is left as it is as well; its receiver says what is wrong with it.
package translate

import (
	"net/url"
	"strings"

	"github.com/shardmill/shardmill/internal/arn"
)

// Side is how one side is named.
type Side struct {
	Account  string // 12 digits
	Region   string
	Endpoint string // scheme://host[:port] of URLs that name it
}

// Names replaces the names of one side by those of the other.
type Names struct{ From, To Side }

// Back returns the opposite direction.
func (n Names) Back() Names { return Names{n.To, n.From} }

// kind is what a place holds.
type kind uint8

const (
	nothing  kind = iota
	arnOrNot      // an ARN, or something else that stays
	text          // a text with ARNs in it, for example a policy
	encoded       // the same, percent-encoded
	queueURL
	objectURL
	account
	region
)

// value returns what a place holds for the other side.
func (n Names) value(k kind, s string) string {
	switch k {
	case nothing:
	case arnOrNot:
		if strings.HasPrefix(s, "arn:") {
			return n.Text(s)
		}
	case text:
		return n.Text(s)
	case encoded:
		plain, err := url.QueryUnescape(s)
		if changed := n.Text(plain); err == nil && changed != plain {
			return strings.ReplaceAll(url.QueryEscape(changed), "+", "%20")
		}
	case queueURL:
		return n.QueueURL(s)
	case objectURL:
		return n.objectURL(s)
	case account:
		if s == n.From.Account {
			return n.To.Account
		}
	case region:
		if s == n.From.Region {
			return n.To.Region
		}
	}
	return s
}

// Account returns what an account is called on the other side.
func (n Names) Account(id string) string { return n.value(account, id) }

// Region returns what a region is called on the other side.
func (n Names) Region(name string) string { return n.value(region, name) }

// QueueURL returns a queue's URL on the other side. Only the path /account/name of s counts, as it does for queues
// here; anything else stays.
func (n Names) QueueURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return s
	}
	path := n.QueuePath(u.Path)
	if path == "" {
		return s
	}
	return n.To.Endpoint + path
}

// QueuePath is QueueURL for the path of a request; "": it is not /account/name.
func (n Names) QueuePath(path string) string {
	owner, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return ""
	}
	id, _, ok := arn.FoldAccount(owner, n.From.Account)
	if !ok {
		return ""
	}
	return "/" + n.value(account, id) + "/" + name
}

// objectURL returns the URL of an object at the other side, with the bucket in the path.
func (n Names) objectURL(s string) string {
	from, ferr := url.Parse(n.From.Endpoint)
	u, err := url.Parse(s)
	if err != nil || ferr != nil || u.Host == "" {
		return s
	}
	bucket, ok := strings.CutSuffix(u.Host, from.Host)
	if !ok || bucket != "" && !strings.HasSuffix(bucket, ".") {
		return s
	}
	if bucket = strings.TrimSuffix(bucket, "."); bucket != "" {
		bucket = "/" + bucket
	}
	return n.To.Endpoint + bucket + u.EscapedPath()
}

// Text replaces all ARNs in a text that lie in the account, and in the region if they have one. ARNs of others stay.
// An account of fewer than twelve digits, as tutorials print it, is the own one.
func (n Names) Text(s string) string {
	before, rest, found := strings.Cut(s, begin)
	if !found {
		return s
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		inWord := before != "" && word(before[len(before)-1])
		var changed string
		if changed = begin; !inWord {
			changed, rest = n.owner(rest)
		}
		b.WriteString(changed)
		before, rest, found = strings.Cut(rest, begin)
	}
	b.WriteString(before)
	return b.String()
}

const begin = "arn:"

func word(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// owner takes partition, service, region and account of an ARN behind its beginning, and returns them changed with it.
func (n Names) owner(s string) (changed, rest string) {
	var part [4]string
	rest = s
	for i := range part {
		var ok bool
		part[i], rest, ok = strings.Cut(rest, ":")
		if !ok || len(part[i]) > 64 || strings.ContainsAny(part[i], " \"'\\\n/<>&") {
			return begin, s
		}
	}
	partition, service, where, owner := part[0], part[1], part[2], part[3]
	if id, _, ok := arn.FoldAccount(owner, n.From.Account); ok && id == n.From.Account &&
		(where == "" || where == n.From.Region) {
		partition, owner = arn.PartitionOf(n.To.Region), n.To.Account
		if where != "" {
			where = n.To.Region
		}
	}
	return begin + partition + ":" + service + ":" + where + ":" + owner + ":", rest
}
