// Package auth knows the access keys of a key file, and decides what each of them may do.
//
// A file comes in, again whenever it changes; out go keys with their secrets, and verdicts: may this key call that
// operation, may it use that stream. The room verifies no signature (internal/sigv4 does) and answers no request
// (api/wire does). docs/auth.md describes the file and what each role may do.
package auth

import (
	"slices"
	"strings"
)

// Role is what a key is for. Each may do all that those before it in this list may do, but for Produce and Consume,
// which only share View.
type Role string

// The roles.
const (
	View    Role = "view"    // look at everything but what is in streams, queues, tables and buckets
	Consume Role = "consume" // also read records and keep account of it, as a Kinesis consumer does
	Produce Role = "produce" // also put records
	Operate Role = "operate" // also create, change and delete streams, functions, mappings and whatever else there is
	Admin   Role = "admin"   // also identities, the clock and the reset of the whole server
)

// Roles lists the roles, from the least.
var Roles = []Role{View, Consume, Produce, Operate, Admin}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Key is an access key.
type Key struct {
	ID      string // 16 to 128 letters, digits and underscores, and not an account
	Name    string // of whoever holds it, for people; no two keys have the same
	Secret  string
	Account string // twelve digits
	ARN     string // of a user of that name
	Rights  Rights
}

// Rights are what a key may do.
type Rights struct {
	Role    Role
	Streams []string // patterns of the names of streams; nil: all
}

// May reports whether a key with these rights may call an operation of a service, which has the name that it has in a
// credential scope. What no list names is for Admin alone.
func (r *Rights) May(service, operation string) bool {
	return slices.Contains(grants[r.Role], classOf(service, operation))
}

// MayUse reports whether a key with these rights may use the stream with this name.
func (r *Rights) MayUse(stream string) bool {
	if r.Streams == nil {
		return true
	}
	return slices.ContainsFunc(r.Streams, func(p string) bool { return matches(p, stream) })
}

// matches reports whether a text is what a pattern describes, in which * stands for any text, also none.
func matches(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part) // the first place is as good as any: what follows may begin anywhere
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}
