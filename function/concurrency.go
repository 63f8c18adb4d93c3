package function

import (
	"context"

	"github.com/shardmill/shardmill/fault"
)

// Reasons of a refusal. They are AWS's and travel to callers.
const (
	ReasonReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ReasonAccount  = "ConcurrentInvocationLimitExceeded"
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
	e.conf = e.conf.clone()
	e.conf.Reserved = n
	if err := f.save(ctx, e); err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, e)
	f.fleet.reserve(ref, n)
	return nil
}

// Enrol adds a waiter to the function: when there is a place that it may use, one waiter is called, in the order of
// enrolling, and is out of the line. When there is a place already that no other was called for, that happens before
// Enrol returns. waiter runs on the goroutine that freed the place and must not block. A refused caller enrols once
// and, when called, tries again or cancels within a second; then the place goes to the next. Waiters beyond
// fleet.MaxWaiters are not called.
func (f *Functions) Enrol(ref Ref, waiter func()) (cancel func()) { return f.fleet.enrol(ref, waiter) }

// Account is what an account has in a region.
type Account struct {
	Concurrency int   // the limit
	Unreserved  int   // what is left of it for functions without a reservation
	Functions   int   // how many there are
	CodeBytes   int64 // of the packages of all versions
}

// Account returns what an account has in a region now.
func (f *Functions) Account(account, region string) Account {
	a := Account{Concurrency: f.opt.AccountConcurrency, Unreserved: f.opt.AccountConcurrency}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for ref, e := range f.entries {
		if ref.Account != account || ref.Region != region {
			continue
		}
		a.Functions++
		if e.conf.Reserved != nil {
			a.Unreserved -= *e.conf.Reserved
		}
		a.CodeBytes += e.conf.CodeBytes
		for _, v := range e.versions {
			a.CodeBytes += v.conf.CodeBytes
		}
	}
	return a
}
