package mapping

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Update changes the members that were sent, leaves the rest, including positions, and returns the new configuration at
// once with advice for the caller. The state is Disabling or Enabling when Enabled changes, else Updating, until the
// engine reports.
//
// Faults: ValidationException, ResourceNotFoundException, InvalidParameterValueException, ResourceInUseException while
// an earlier change is under way, ResourceConflictException when the stream has a mapping to the new function, or the
// consumer an enabled mapping.
func (m *Mappings) Update(ctx context.Context, c Caller, uuid string, in UpdateInput) (
	_ *Mapping, hint string, err error,
) {
	var v fault.Violations
	in.model(&v)
	if err := v.Err(); err != nil {
		return nil, "", err
	}
	if err := in.applicable(); err != nil {
		return nil, "", err
	}
	// Refuse what cannot succeed before waiting for a change under way.
	old, _, err := m.find(ctx, c, uuid)
	if err != nil {
		return nil, "", err
	}
	if err := in.values(old.Settings, m.filters); err != nil {
		return nil, "", err
	}
	destination, destinationHint := "", ""
	if in.Destination != nil {
		if destination, destinationHint, err = m.destination(c, in.Destination.OnFailure); err != nil {
			return nil, "", err
		}
	}
	var function Mapping
	functionHint := ""
	if in.FunctionName != nil {
		if functionHint, err = m.lookupFunction(ctx, c, *in.FunctionName, &function); err != nil {
			return nil, "", err
		}
		if err := m.mayRead(ctx, c, function.FunctionARN, old.EventSourceARN); err != nil {
			return nil, "", err
		}
	}
	if in.Destination != nil || in.FunctionName != nil {
		to := old.Destination
		if in.Destination != nil {
			to = destination
		}
		if err := m.maySend(ctx, c, cmp.Or(function.FunctionARN, old.FunctionARN), to); err != nil {
			return nil, "", err
		}
	}
	mp, err := m.change(ctx, c, uuid, "update", func(mp *Mapping) (change, error) {
		if err := in.values(mp.Settings, m.filters); err != nil { // they may have changed
			return 0, err
		}
		in.apply(&mp.Settings)
		if in.Destination != nil {
			mp.Destination = destination
		}
		if in.FunctionName != nil {
			mp.FunctionARN, mp.FunctionName = function.FunctionARN, function.FunctionName
		}
		kind := edit
		if in.Enabled != nil && *in.Enabled != mp.Enabled {
			mp.Enabled = *in.Enabled
			if kind = disable; mp.Enabled {
				kind = enable
			}
		}
		return kind, nil
	})
	if err != nil {
		return nil, "", err
	}
	return mp, joinHints(functionHint, destinationHint, filterHint(in.Filters)), nil
}

// Delete begins the deletion of a mapping and returns its configuration, in state Deleting. It is gone once the engine
// reports Removed. Faults: ResourceNotFoundException, ResourceInUseException while it is Creating or Updating.
func (m *Mappings) Delete(ctx context.Context, c Caller, uuid string) (*Mapping, error) {
	return m.change(ctx, c, uuid, "delete", func(mp *Mapping) (change, error) { return remove, nil })
}

// change applies f to the mapping in a state that allows it, and stores the result. No concurrent change is lost: if
// another was faster, f is applied again to its result. verb is for the fault if the mapping stays in use.
func (m *Mappings) change(
	ctx context.Context, c Caller, uuid, verb string, f func(*Mapping) (change, error),
) (*Mapping, error) {
	wait := m.newWait()
	defer wait.stop()
	for race := (storage.Race{}); ; {
		changed := m.store.changed()
		old, rev, err := m.find(ctx, c, uuid)
		if err != nil {
			return nil, err
		}
		mp := *old
		kind, err := f(&mp)
		if err != nil {
			return nil, err
		}
		next, ok := after(old.State, kind)
		if !ok {
			again, err := wait.until(ctx, changed)
			if err != nil {
				return nil, err
			}
			if again {
				continue
			}
			return nil, errInUse(verb)
		}
		mp.State, mp.StateReason, mp.LastModified = next, userAction, m.now()
		mp.Version++
		err = m.store.replace(ctx, rev, old, &mp)
		if err == nil {
			if err := m.show(ctx, &mp); err != nil { // the change is made all the same
				m.log.Warn("a changed mapping is shown without its last results", "mapping", uuid, "error", err)
			}
			return &mp, nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return nil, err
		}
		if mp.FunctionARN != old.FunctionARN {
			if err := m.checkPair(ctx, &mp); err != nil {
				return nil, err
			}
		}
		if uuid, err := m.store.reader(ctx, &mp); err != nil || uuid != "" {
			return nil, cmp.Or(err, errConsumerTaken(mp.EventSourceARN, uuid))
		}
		if err := race.Lost(rev, err); err != nil {
			return nil, fmt.Errorf("%s mapping %s: %w", verb, uuid, err)
		}
	}
}

// checkPair refuses mp if another mapping has its stream and function.
func (m *Mappings) checkPair(ctx context.Context, mp *Mapping) error {
	uuid, err := m.store.holder(ctx, mp.EventSourceARN, mp.FunctionARN)
	if err != nil {
		return err
	}
	if uuid != "" && uuid != mp.UUID {
		return errDuplicate(mp.EventSourceARN, mp.FunctionName, uuid)
	}
	return nil
}

// wait bounds how long one call waits, in all, for other changes to end.
type wait struct {
	left  time.Duration
	timer *time.Timer // nil until the first wait
}

func (m *Mappings) newWait() *wait { return &wait{left: m.patience} }

// until waits for changed. again is false once the time is up.
func (w *wait) until(ctx context.Context, changed <-chan struct{}) (again bool, err error) {
	if w.left == 0 {
		return false, nil
	}
	if w.timer == nil {
		w.timer = time.NewTimer(w.left)
	}
	select {
	case <-changed:
		return true, nil
	case <-w.timer.C:
		w.left = 0
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func (w *wait) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
