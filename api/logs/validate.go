package logs

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Patterns that AWS's answers quote. Source: CloudWatch Logs API Reference.
const (
	groupPattern      = `[\.\-_/#A-Za-z0-9]+`
	streamPattern     = `[^:*]*`
	identifierPattern = `[\w#+=/:,.@-]*`
	maxName           = 512
	maxIdentifier     = 2048
)

var (
	groupNames  = wire.Pattern(`^` + groupPattern + `$`)
	streamNames = wire.Pattern(`^` + streamPattern + `$`)
	identifiers = wire.Pattern(`^` + identifierPattern + `$`)
)

// violations collects the errors of a request.
type violations struct{ fault.Violations }

// err returns the fault that names every violation; this service calls it InvalidParameterException.
func (v *violations) err() error { return v.As(logstore.CodeInvalid) }

func invalid(format string, args ...any) error {
	return fault.New(logstore.CodeInvalid, format, args...)
}

func unsupported(parameter string) error {
	return absent.Parameter(logstore.CodeInvalid, "the parameter "+parameter)
}

// text checks a string if it is present; required says whether it must be.
func (v *violations) text(path string, s *string, required bool, most int, pattern *wire.LazyPattern, shown string) {
	if s == nil {
		if required {
			v.Null(path)
		}
		return
	}
	if *s == "" {
		v.Add(path, "", "Member must have length greater than or equal to 1")
	}
	if utf8.RuneCountInString(*s) > most {
		v.Add(path, clip(*s), fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	if *s != "" && !pattern.MatchString(*s) {
		v.Add(path, clip(*s), "Member must satisfy regular expression pattern: "+shown)
	}
}

func (v *violations) group(name *string) {
	v.text("logGroupName", name, true, maxName, groupNames, groupPattern)
}

func (v *violations) stream(name *string) {
	v.text("logStreamName", name, true, maxName, streamNames, streamPattern)
}

// limit checks an optional limit and returns it, or most if it is absent.
func (v *violations) limit(n *int64, most int64) int {
	if n == nil {
		return int(most)
	}
	v.Range("limit", *n, 1, most)
	return int(*n)
}

func (v *violations) millis(path string, ms *int64) {
	if ms != nil && *ms < 0 {
		v.Add(path, fmt.Sprint(*ms), "Member must have value greater than or equal to 0")
	}
}

// target finds the group that a request names by name or by identifier (a name or an ARN), of which it must give one.
func (v *violations) target(c wire.Caller, name, identifier *string) (logstore.Group, error) {
	v.text("logGroupName", name, false, maxName, groupNames, groupPattern)
	v.text("logGroupIdentifier", identifier, false, maxIdentifier, identifiers, identifierPattern)
	if err := v.err(); err != nil {
		return logstore.Group{}, err
	}
	switch {
	case name != nil && identifier != nil:
		return logstore.Group{}, invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	case name != nil:
		return group(c, *name), nil
	case identifier == nil:
		return logstore.Group{}, invalid("Should provide either name or arn")
	case strings.HasPrefix(*identifier, "arn:"):
		g, ok := parseARN(*identifier)
		if !ok || g.Account != c.Account || g.Region != c.Region {
			return logstore.Group{}, fault.New(logstore.CodeNotFound, "The specified log group does not exist.")
		}
		return g, nil
	}
	return group(c, *identifier), nil
}

func group(c wire.Caller, name string) logstore.Group {
	return logstore.Group{Account: c.Account, Region: c.Region, Name: name}
}

// parseARN takes the ARN of a group, with or without :* at its end.
func parseARN(s string) (logstore.Group, bool) {
	a, ok := arn.Parse(s)
	name, isGroup := strings.CutPrefix(a.Resource, "log-group:")
	name = strings.TrimSuffix(name, ":*")
	if !ok || a.Service != "logs" || !isGroup || !groupNames.MatchString(name) {
		return logstore.Group{}, false
	}
	return logstore.Group{Account: a.Account, Region: a.Region, Name: name}, true
}

// clip keeps a quoted value of a caller short.
func clip(s string) string { return fault.Clip(s, 100) }

// farthest is a time beyond which there are no events.
const farthest = int64(1) << 52

// at returns the instant of optional milliseconds; the zero time when absent.
func at(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(min(*ms, farthest))
}

// millisOf returns an instant on the wire; nil for the zero time.
func millisOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// page cuts a sorted list to limit elements after the place in token. key returns an element's key; keys fall if
// descending.
func page[T any](all []T, limit int, token *string, descending bool, key func(T) string) (
	out []T, next string, err error,
) {
	if token != nil {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || len(after) == 0 {
			return nil, "", invalid("The specified nextToken is invalid.")
		}
		for len(all) > 0 && (key(all[0]) == string(after) || key(all[0]) < string(after) != descending) {
			all = all[1:]
		}
	}
	if len(all) > limit {
		return all[:limit], base64.RawURLEncoding.EncodeToString([]byte(key(all[limit-1]))), nil
	}
	return all, "", nil
}
