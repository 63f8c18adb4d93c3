package function

import (
	"context"

	"github.com/shardmill/shardmill/fault"
)

// PutConcurrency reserves n concurrent invocations for a function; 0 stops it from being invoked. n has effect at once.
// Faults: ResourceNotFoundException; InvalidParameterValueException when too little would be left for the other
// functions. Source: Lambda API Reference, PutFunctionConcurrency.
func (f *Functions) PutConcurrency(ctx context.Context, ref Ref, n int) error {
	if n < 0 {
		var v fault.Violations
		v.Range("reservedConcurrentExecutions", int64(n), 0, int64(f.opt.AccountConcurrency))
		return v.Err()
	}
	return f.setConcurrency(ctx, ref, &n)
}

// DeleteConcurrency ends the reservation. Faults: ResourceNotFoundException.
func (f *Functions) DeleteConcurrency(ctx context.Context, ref Ref) error {
	return f.setConcurrency(ctx, ref, nil)
}

func (f *Functions) setConcurrency(ctx context.Context, ref Ref, n *int) error {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return NotFound(ref, ":"+Latest)
	}
	if n != nil {
		left := f.opt.AccountConcurrency - *n
		f.mu.RLock()
		for other, o := range f.entries {
			if other.Account == ref.Account && other.Region == ref.Region && other != ref && o.conf.Reserved != nil {
				left -= *o.conf.Reserved
			}
		}
		f.mu.RUnlock()
		if left < f.opt.UnreservedMinimum && *n > 0 {
			return fault.New(fault.CodeInvalidParameter,
				"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].",
				f.opt.UnreservedMinimum)
		}
	}
	next := e.conf.clone()
	next.Reserved = n
	revision, err := f.save(ctx, next, e.revision)
	if err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, &entry{conf: next, revision: revision, current: e.current, settled: e.settled})
	f.fleet.reserve(ref, n)
	return nil
}
