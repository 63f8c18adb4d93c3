package fault

import (
	"fmt"
	"strings"
)

// Violations collects the broken constraints of one request, so that one error names them all, as AWS's
// ValidationException does. The zero value is ready.
type Violations struct{ items []string }

// MaxViolations is where counting stops: a request with more is reported to have ten, as on AWS.
const MaxViolations = 10

// Add notes that value, rendered as AWS renders it, breaks constraint at path: Value 'x' at 'path' failed to satisfy
// constraint: …
func (v *Violations) Add(path, value, constraint string) {
	v.items = append(
		v.items, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", value, path, constraint),
	)
}

// Null notes that a required member is absent.
func (v *Violations) Null(path string) {
	v.items = append(
		v.items, fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", path),
	)
}

// Hidden is Add for blobs and lists of structures, whose values AWS no longer shows: Value at 'path' failed …
func (v *Violations) Hidden(path, constraint string) {
	v.items = append(v.items, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", path, constraint))
}

// Range notes an integer outside lo … hi, both inclusive.
func (v *Violations) Range(path string, value, lo, hi int64) {
	switch {
	case value < lo:
		v.Add(path, fmt.Sprint(value), fmt.Sprintf("Member must have value greater than or equal to %d", lo))
	case value > hi:
		v.Add(path, fmt.Sprint(value), fmt.Sprintf("Member must have value less than or equal to %d", hi))
	}
}

// Err returns the ValidationException that names every violation (ten at most), or nil when there is none.
func (v *Violations) Err() error { return v.As(CodeValidation) }

// As is Err for services that use the same text under another code.
func (v *Violations) As(code string) error {
	n := min(len(v.items), MaxViolations)
	if n == 0 {
		return nil
	}
	plural := "s"
	if n == 1 {
		plural = ""
	}
	return New(code, "%d validation error%s detected: %s", n, plural, strings.Join(v.items[:n], "; "))
}
