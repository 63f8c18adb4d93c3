package mapping

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Create stores a new mapping, in state Creating, and returns it with advice for the caller. Its starting positions are
// fixed before it returns: no record put afterwards is missed, however long the engine takes. That is stronger than
// AWS, where LATEST means "once polling has begun".
//
// Faults, in the order of the checks: ValidationException, InvalidParameterValueException (parameters, event source,
// starting position, function, kind of source, stream, access), ResourceConflictException when the pair of stream and
// function has a mapping.
func (m *Mappings) Create(ctx context.Context, c Caller, in CreateInput) (_ *Mapping, hint string, err error) {
	if err := m.checkCreate(&in); err != nil {
		return nil, "", err
	}
	// A kind of event source that cannot be polled is refused once the function is found, as on AWS.
	sourceARN, sourceHint, refused := c.source(*in.EventSourceARN)
	if refused == nil {
		err = in.checkStart(m.now())
	}
	if err == nil {
		err = in.values(DefaultSettings(), m.filters)
	}
	if err == nil {
		in.Tags, err = tags.Change(nil, in.Tags, nil)
	}
	if err != nil {
		return nil, "", err
	}
	mp := &Mapping{
		UUID: m.newUUID(), Account: c.Account, Region: c.Region,
		Enabled: in.Enabled == nil || *in.Enabled, State: Creating, StateReason: userAction, Version: 1,
		LastResult: NoRecordsProcessed, Settings: DefaultSettings(),
		StartingPositionTimestamp: in.StartingPositionTimestamp, Tags: in.Tags,
	}
	in.apply(&mp.Settings)
	destinationHint := ""
	if in.Destination != nil {
		if mp.Destination, destinationHint, err = m.destination(c, in.Destination.OnFailure); err != nil {
			return nil, "", err
		}
	}
	functionHint, err := m.lookupFunction(ctx, c, *in.FunctionName, mp)
	if err != nil {
		return nil, "", err
	}
	if refused != nil {
		return nil, "", refused
	}
	mp.StartingPosition = *in.StartingPosition
	source, err := m.readable(ctx, c, mp.FunctionARN, sourceARN)
	if err != nil {
		return nil, "", err
	}
	if err := m.maySend(ctx, c, mp.FunctionARN, mp.Destination); err != nil {
		return nil, "", err
	}
	mp.EventSourceARN, mp.Stream = source.ARN, source.ID
	if err := m.insert(ctx, mp); err != nil {
		return nil, "", err
	}
	return mp, joinHints(sourceHint, source.Hint, functionHint, destinationHint, filterHint(in.Filters)), nil
}

// checkCreate makes the checks that come before all others.
func (m *Mappings) checkCreate(in *CreateInput) error {
	if err := in.model(); err != nil {
		return err
	}
	if err := in.applicable(); err != nil {
		return err
	}
	if in.EventSourceARN == nil {
		return invalid("Unrecognized event source.")
	}
	return nil
}

// readable finds a source that a function may read. Of a source of another account that it may not read nothing is
// told, not even whether it exists.
func (m *Mappings) readable(ctx context.Context, c Caller, functionARN, sourceARN string) (Source, error) {
	if a, _ := arn.Parse(sourceARN); a.Account != c.Account {
		if err := m.mayRead(ctx, c, functionARN, sourceARN); err != nil {
			return Source{}, err
		}
		return m.sources.Lookup(ctx, sourceARN, c.Account, c.Region)
	}
	source, err := m.sources.Lookup(ctx, sourceARN, c.Account, c.Region)
	if err != nil {
		return Source{}, err
	}
	return source, m.mayRead(ctx, c, functionARN, source.ARN)
}

// mayRead refuses a function whose role may not read the stream, if Options.MayRead decides that.
func (m *Mappings) mayRead(ctx context.Context, c Caller, functionARN, sourceARN string) error {
	if m.mayReadStream == nil {
		return nil
	}
	ok, err := m.mayReadStream(ctx, c, functionARN, sourceARN)
	if err == nil && !ok {
		return invalid("%s", cannotAccess(sourceARN)).WithHint(
			"The role of %s needs the policy of the stream, and of the consumer if it reads by one.", functionARN)
	}
	return err
}

func (in *CreateInput) checkStart(now time.Time) error {
	at := in.StartingPositionTimestamp
	switch {
	case in.StartingPosition == nil:
		// The member is required although the model does not say so: AWS uses the text of a model check, with a full
		// stop, but the other code.
		return invalid(
			"1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
		)
	case *in.StartingPosition == AtTimestamp && at == nil:
		return invalid("StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP")
	case *in.StartingPosition != AtTimestamp && at != nil:
		return invalid("StartingPositionTimestamp is valid only when StartingPosition is AT_TIMESTAMP")
	case at != nil && *at > record.MillisOf(now):
		return invalid("StartingPositionTimestamp cannot be in the future")
	}
	return nil
}

// lookupFunction sets the function of mp.
func (m *Mappings) lookupFunction(ctx context.Context, c Caller, name string, mp *Mapping) (hint string, err error) {
	functionARN, bare, hint, ok, err := m.functions.Lookup(ctx, name, c.Account, c.Region)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", invalid("Function does not exist")
	}
	mp.FunctionARN, mp.FunctionName = functionARN, bare
	return hint, nil
}

// insert resolves the starting positions and writes mp, unless its pair has a mapping. If that mapping is being
// deleted, it waits.
func (m *Mappings) insert(ctx context.Context, mp *Mapping) error {
	wait := m.newWait()
	defer wait.stop()
	for race := (storage.Race{}); ; {
		changed := m.store.changed()
		uuid, err := m.store.holder(ctx, mp.EventSourceARN, mp.FunctionARN)
		if err != nil {
			return err
		}
		if uuid != "" {
			again, err := m.leaving(ctx, mp, uuid, wait, changed)
			if err != nil {
				return err
			}
			if again {
				continue
			}
			return errDuplicate(mp.EventSourceARN, mp.FunctionName, uuid)
		}
		if uuid, err = m.store.reader(ctx, mp); err != nil {
			return err
		}
		if uuid != "" {
			return errConsumerTaken(mp.EventSourceARN, uuid)
		}
		var at record.Millis
		if mp.StartingPositionTimestamp != nil {
			at = *mp.StartingPositionTimestamp
		}
		if mp.Starts, err = m.sources.Starts(ctx, mp.Stream, mp.StartingPosition, at); err != nil {
			return err
		}
		mp.LastModified = m.now()
		err = m.store.create(ctx, mp)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(storage.Absent, err); err != nil { // what it takes was free, both times
			return fmt.Errorf("create mapping %s: %w", mp.UUID, err)
		}
	}
}

// leaving reports whether to look again at the pair that mp wants and uuid holds: uuid is being deleted and the wait is
// not over, or it is gone.
func (m *Mappings) leaving(
	ctx context.Context, mp *Mapping, uuid string, wait *wait, changed <-chan struct{},
) (bool, error) {
	other, rev, err := m.store.get(ctx, uuid)
	if err != nil {
		return false, err
	}
	if rev == 0 {
		// It was removed meanwhile, together with its pair.
		if left, err := m.store.holder(ctx, mp.EventSourceARN, mp.FunctionARN); err != nil || left != uuid {
			return err == nil, err
		}
		return false, fmt.Errorf(
			"%w: %s and %s belong to mapping %s, which does not exist", storage.ErrCorrupt, mp.EventSourceARN,
			mp.FunctionARN, uuid,
		)
	}
	if other.State != Deleting {
		return false, nil
	}
	return wait.until(ctx, changed)
}
