package fleet

import "fmt"

// Broken is the panic of a machine that got an impossible event, or whose counts do not fit: a bug of ours, never bad
// input.
type Broken struct{ What string }

func (b *Broken) Error() string { return "function/fleet: broken invariant: " + b.What }

func broken(format string, args ...any) {
	panic(&Broken{What: fmt.Sprintf(format, args...)})
}

// check panics with *Broken if the counts do not fit. It checks only totals, at constant cost; the tests' model checks
// everything.
func (f *Fleet) check() {
	switch {
	case f.living != len(f.environments) || f.dying < 0 || f.dying+f.warm.n > f.living:
		broken("%d environments, %d idle and %d dying of %d known", f.living, f.warm.n, f.dying, len(f.environments))
	case f.line.n > len(f.tickets):
		broken("%d in line of %d invocations", f.line.n, len(f.tickets))
	case f.line.n > 0 && f.living < f.limits.Environments:
		broken("%d in line though there is room: %d environments of %d", f.line.n, f.living, f.limits.Environments)
	case f.warm.n > 0 && (f.line.n > f.coming() || f.closed):
		broken("%d environments are idle while %d wait for room", f.warm.n, f.line.n)
	case f.offers.n > len(f.waiters):
		broken("%d offers to %d waiters", f.offers.n, len(f.waiters))
	}
}
