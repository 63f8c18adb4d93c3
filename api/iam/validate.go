package iam

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
	"github.com/shardmill/shardmill/fault"
)

// Patterns that AWS's answers quote, and lengths. Source: IAM API Reference.
const (
	namePattern  = `[\w+=,.@-]+`
	pathPattern  = `(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`
	maxRoleName  = 64
	maxName      = 128
	maxPath      = 512
	maxARN       = 2048
	maxDocument  = 131_072
	maxText      = 1000
	minSession   = 3600
	maxSession   = 43_200
	maxListItems = 1000
)

var (
	names = wire.Pattern(`^` + namePattern + `$`)
	paths = wire.Pattern(`^(/|/[!-~]+/)$`)
)

// violations collects the errors of a request.
type violations struct{ fault.Violations }

// err returns the fault that names every violation; this service calls it ValidationError.
func (v *violations) err() error { return v.As(codeValidation) }

// text reads a required parameter of at most most characters. Its path in answers begins with a lower-case letter.
func (v *violations) text(r *request, parameter string, most int) string {
	path := strings.ToLower(parameter[:1]) + parameter[1:]
	s := r.Get(parameter)
	switch {
	case !r.Has(parameter):
		v.Null(path)
	case s == "":
		v.Add(path, "", "Member must have length greater than or equal to 1")
	case utf8.RuneCountInString(s) > most:
		v.Add(path, clip(s), fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	return s
}

// name reads a name that must be there.
func (v *violations) name(r *request, parameter string, most int) string {
	s := v.text(r, parameter, most)
	if s != "" && !names.MatchString(s) {
		v.Add(
			strings.ToLower(parameter[:1])+parameter[1:], clip(s),
			"Member must satisfy regular expression pattern: "+namePattern,
		)
	}
	return s
}

// path reads an optional path.
func (v *violations) path(r *request) string {
	s := r.Get("Path")
	if s == "" {
		return "/"
	}
	if len(s) > maxPath || !paths.MatchString(s) {
		v.Add("path", clip(s), "Member must satisfy regular expression pattern: "+pathPattern)
	}
	return s
}

// description reads an optional text.
func (v *violations) description(r *request) string {
	s := r.Get("Description")
	if utf8.RuneCountInString(s) > maxText {
		v.Add("description", clip(s), fmt.Sprintf("Member must have length less than or equal to %d", maxText))
	}
	return s
}

// integer reads an optional number within bounds.
func (v *violations) integer(r *request, parameter string, lo, hi, otherwise int) int {
	if !r.Has(parameter) {
		return otherwise
	}
	path := strings.ToLower(parameter[:1]) + parameter[1:]
	n, err := strconv.ParseInt(r.Get(parameter), 10, 32)
	if err != nil {
		v.Add(path, clip(r.Get(parameter)), "Member must be an integer")
		return otherwise
	}
	v.Range(path, n, int64(lo), int64(hi))
	return int(n)
}

// tags reads an optional list of tags, in the order of their keys. Keys are compared without regard to case, as AWS
// does.
func (v *violations) tags(r *request) ([]identity.Tag, error) {
	var out []identity.Tag
	for i, e := range r.Elements("Tags.member") {
		t := identity.Tag{Key: r.Get(e + ".Key"), Value: r.Get(e + ".Value")}
		path := fmt.Sprintf("tags.%d.member.", i+1)
		if n := utf8.RuneCountInString(t.Key); n < 1 || n > 128 {
			v.Add(path+"key", clip(t.Key), "Member must have length between 1 and 128, inclusive")
		}
		if utf8.RuneCountInString(t.Value) > 256 {
			v.Add(path+"value", clip(t.Value), "Member must have length less than or equal to 256")
		}
		out = append(out, t)
	}
	if len(out) > identity.MaxTags {
		v.Hidden("tags", fmt.Sprintf("Member must have length less than or equal to %d", identity.MaxTags))
	}
	if merged := identity.MergeTags(nil, out); len(merged) < len(out) {
		return nil, fault.New(
			codeInvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
		)
	}
	return identity.MergeTags(nil, out), nil
}

// clip keeps a quoted value of a caller short.
func clip(s string) string { return fault.Clip(s, 100) }

// listing is the end of every list's answer.
type listing struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// page cuts a list that is sorted by key, as the request's Marker and MaxItems say.
func page[T any](r *request, all []T, key func(T) string) ([]T, listing, error) {
	var v violations
	n := v.integer(r, "MaxItems", 1, maxListItems, 100)
	after, err := base64.RawURLEncoding.DecodeString(r.Get("Marker"))
	if err != nil {
		return nil, listing{}, fault.New(codeValidation, "Invalid Marker.")
	}
	if err := v.err(); err != nil {
		return nil, listing{}, err
	}
	for len(all) > 0 && len(after) > 0 && key(all[0]) <= string(after) {
		all = all[1:]
	}
	if len(all) > n {
		return all[:n], listing{true, base64.RawURLEncoding.EncodeToString([]byte(key(all[n-1])))}, nil
	}
	return all, listing{}, nil
}
