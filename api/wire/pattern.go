package wire

import (
	"regexp"
	"sync"
)

// Pattern returns a regular expression that is compiled at its first use: most services of a server are never called.
func Pattern(expression string) *LazyPattern {
	return &LazyPattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// LazyPattern is a regular expression that Pattern has made.
type LazyPattern struct{ compiled func() *regexp.Regexp }

// MatchString reports whether s holds a match.
func (p *LazyPattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// String returns the expression.
func (p *LazyPattern) String() string { return p.compiled().String() }
