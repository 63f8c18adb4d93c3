package s3

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

// errNotModified says that a client has what it asks for.
var errNotModified = errors.New("not modified")

// checkConditions evaluates the conditions of a read in the order of RFC 9110, section 13.2.2. prefix is "" or that of
// the source of a copy, for which nothing is "not modified".
func checkConditions(h http.Header, prefix string, d *bucket.Description) error {
	modified := d.ModifiedAt().Truncate(time.Second)
	if v := h.Get(prefix + "If-Match"); v != "" {
		if !matches(v, d.ETag) {
			return bucket.Precondition(prefix + "If-Match")
		}
	} else if t, err := http.ParseTime(h.Get(prefix + "If-Unmodified-Since")); err == nil && modified.After(t) {
		return bucket.Precondition(prefix + "If-Unmodified-Since")
	}
	header := prefix + "If-None-Match"
	fresh := false
	if v := h.Get(header); v != "" {
		fresh = matches(v, d.ETag)
	} else {
		header = prefix + "If-Modified-Since"
		t, err := http.ParseTime(h.Get(header))
		fresh = err == nil && !modified.After(t)
	}
	switch {
	case fresh && prefix != "":
		return bucket.Precondition(header)
	case fresh:
		return errNotModified
	}
	return nil
}

// matches reports whether a list of ETags has one.
func matches(list, etag string) bool {
	for v := range strings.SplitSeq(list, ",") {
		if v = unquoted(v); v == "*" || v == etag {
			return true
		}
	}
	return false
}

// writeCondition reads the conditions of a write.
func writeCondition(h http.Header) (c bucket.Condition, err error) {
	if v := h.Get("If-None-Match"); v != "" {
		if strings.TrimSpace(v) != "*" {
			return c, lacks("If-None-Match with anything but * on a write")
		}
		c.Absent = true
	}
	c.ETag = wanted(h.Get("If-Match"))
	return c, nil
}

// readRange returns which bytes of size a Range header asks for. Without one, or with one that is no single range of
// bytes, that is all of them, and part is false.
func readRange(value string, size int64) (from, length int64, part bool, err error) {
	spec, ok := strings.CutPrefix(strings.TrimSpace(value), "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	a, errA := strconv.ParseUint(first, 10, 63)
	b, errB := strconv.ParseUint(last, 10, 63)
	unsatisfiable := fault.New(codeInvalidRange, "The requested range is not satisfiable").
		WithStatus(http.StatusRequestedRangeNotSatisfiable)
	switch {
	case !ok || !dash:
	case first == "" && errB == nil: // the last b bytes
		length = min(int64(b), size)
		if length == 0 {
			return 0, 0, false, unsatisfiable
		}
		return size - length, length, true, nil
	case errA != nil || last != "" && (errB != nil || b < a):
	case int64(a) >= size:
		return 0, 0, false, unsatisfiable
	case last == "":
		return int64(a), size - int64(a), true, nil
	default:
		return int64(a), min(int64(b), size-1) - int64(a) + 1, true, nil
	}
	return 0, size, false, nil
}
