package function

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// UpdateCodeInput is the input of UpdateCode.
type UpdateCodeInput struct {
	Ref          Ref
	RevisionID   string // expected; "" for any
	Architecture []string
	Zip          []byte // the package; not modified
	DryRun       bool   // judge and answer, change nothing
	Publish      bool   // also as a version
	Owner        string // see Configuration.Owner
}

// UpdateCode gives a function new code and returns it with its update InProgress. Invocations that began before the
// update is Successful finish on the old code. With Publish it returns the new version, which is Pending, or the last
// one if it has the same code and configuration. Faults: those of Create about the package; ResourceNotFoundException;
// PreconditionFailedException; ResourceConflictException while another transition takes longer than a second.
func (f *Functions) UpdateCode(ctx context.Context, in UpdateCodeInput) (*Configuration, error) {
	var v fault.Violations
	probe := Configuration{}
	checkArchitectures(&v, &probe, in.Architecture)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if _, ok := f.Lookup(in.Ref); !ok {
		return nil, NotFound(in.Ref, "")
	}
	sha, err := f.code.put(ctx, in.Zip)
	if err != nil {
		return nil, err
	}
	old := ""
	conf, err := f.update(ctx, in.Ref, updateHow{in.RevisionID, in.DryRun, in.Publish}, func(c *Configuration) error {
		old = c.CodeSHA256
		c.CodeSHA256, c.CodeBytes, c.Owner = sha, int64(len(in.Zip)), in.Owner
		if probe.Architecture != "" {
			c.Architecture = probe.Architecture
		}
		return nil
	})
	if err != nil || in.DryRun {
		f.dropCode(sha, err)
	} else {
		f.code.release(old) // environments on the old code hold it themselves
	}
	return conf, err
}

// UpdateConfigurationInput is the input of UpdateConfiguration; nil members stay as they are.
type UpdateConfigurationInput struct {
	Ref         Ref
	RevisionID  string // expected; "" for any
	Runtime     *string
	Role        *string
	Handler     *string
	Description *string
	Timeout     *int // seconds
	MemoryMB    *int
	EphemeralMB *int
	Environment map[string]string // nil: as it is; empty: none
	LogGroup    string            // "": as it is
	Owner       string            // see Configuration.Owner
}

// UpdateConfiguration changes a function and returns it with its update InProgress. Faults as UpdateCode, and
// ValidationException.
func (f *Functions) UpdateConfiguration(ctx context.Context, in UpdateConfigurationInput) (*Configuration, error) {
	return f.update(ctx, in.Ref, updateHow{revisionID: in.RevisionID}, func(c *Configuration) error {
		c.Owner = in.Owner
		set(&c.Runtime, in.Runtime)
		set(&c.Role, in.Role)
		set(&c.Handler, in.Handler)
		set(&c.Description, in.Description)
		if in.Environment != nil {
			c.Environment = in.Environment
		}
		if in.LogGroup != "" {
			c.LogGroup = in.LogGroup
		}
		var v fault.Violations
		checkLimits(&v, c, in.Timeout, in.MemoryMB, in.EphemeralMB)
		c.Role = checkRole(&v, c.Role, in.Ref.Account)
		if err := v.Err(); err != nil {
			return err
		}
		if in.Runtime != nil {
			if err := checkRuntime(c.Runtime); err != nil {
				return err
			}
		}
		return checkEnvironment(c.Runtime, c.Environment)
	})
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}

// updateHow is how an update is made.
type updateHow struct {
	revisionID string // expected; "" for any
	dryRun     bool   // change nothing
	publish    bool   // also as a version
}

// update carries a change of code or configuration through to InProgress and starts what ends it.
func (f *Functions) update(
	ctx context.Context, ref Ref, how updateHow, change func(*Configuration) error,
) (*Configuration, error) {
	e, err := f.settle(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer f.change.Unlock()
	if how.revisionID != "" && how.revisionID != e.conf.RevisionID {
		return nil, errRevision
	}
	next := e.conf.clone()
	if err := change(next); err != nil {
		return nil, err
	}
	next.LastModified = f.opt.Clock.Now().Round(time.Millisecond)
	next.Generation++
	next.UpdateStatus, next.UpdateReason, next.UpdateCode = InProgress, creatingReason, creatingCode
	if next.State == Failed {
		next.State, next.StateReason, next.StateCode = Pending, creatingReason, creatingCode
	}
	f.touch(next)
	e.conf, e.settled = next, make(chan struct{})
	if how.dryRun {
		if how.publish {
			v, _ := f.nextVersion(e, "")
			return v.conf, nil
		}
		return next, nil
	}
	shown := next
	if how.publish {
		shown, err = f.saveWithVersion(ctx, e, "")
	} else {
		err = f.save(ctx, e)
	}
	if err != nil {
		return nil, conflict(ref, err)
	}
	f.publish(ref, e)
	f.activate(e.live)
	return shown, nil
}

// errRevision is AWS's fault for a revision id that is not the latest.
var errRevision = fault.New(
	fault.CodePrecondition,
	"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
).WithStatus(412)
