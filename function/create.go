package function

import (
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/storage"
)

// CreateInput is the input of Create. Zero numbers and empty strings mean AWS's defaults.
type CreateInput struct {
	Name         string // name or ARN
	Caller       Caller
	Owner        string // see Configuration.Owner
	Runtime      string
	Role         string
	Handler      string
	Description  string
	Timeout      *int // seconds
	MemoryMB     *int
	EphemeralMB  *int
	Environment  map[string]string // nil: none
	Architecture []string
	LogGroup     string
	Tags         map[string]string
	Zip          []byte // the package; not modified
	Publish      bool   // also as version 1
}

// Create adds a function and returns it in State Pending; it becomes Active within milliseconds. With Publish it
// returns version 1. It is durable on return. Faults: ValidationException; InvalidParameterValueException;
// RequestEntityTooLargeException; ResourceConflictException when the name is taken. Source: Lambda API Reference,
// CreateFunction.
func (f *Functions) Create(ctx context.Context, in CreateInput) (*Configuration, error) {
	if len(in.Zip) > maxZip {
		return nil, errZipSize
	}
	conf, err := f.judgeCreate(in)
	if err != nil {
		return nil, err
	}
	taken := fault.New(fault.CodeConflict, "Function already exist: %s", conf.Ref.Name)
	if _, ok := f.Lookup(conf.Ref); ok {
		return nil, taken
	}
	sha, err := f.code.put(ctx, in.Zip)
	if err != nil {
		return nil, err
	}
	now := f.opt.Clock.Now()
	conf.CodeSHA256, conf.CodeBytes = sha, int64(len(in.Zip))
	conf.Created, conf.LastModified, conf.Generation = now, now, 1
	conf.State, conf.StateReason, conf.StateCode = Pending, creatingReason, creatingCode
	conf.RuntimeDigest = runtimeDigest(conf.Runtime, "")
	f.touch(conf)

	f.change.Lock()
	defer f.change.Unlock()
	e := &entry{
		live: live{conf: conf, revision: storage.Absent, settled: make(chan struct{})}, versions: map[string]version{},
	}
	if in.Publish {
		conf, err = f.saveWithVersion(ctx, e, "")
	} else {
		err = f.save(ctx, e)
	}
	if err != nil {
		f.dropCode(sha, err)
		if errors.Is(err, storage.ErrConflict) {
			return nil, taken
		}
		return nil, conflict(e.conf.Ref, err)
	}
	f.publish(conf.Ref, e)
	f.activate(e.live)
	return conf, nil
}

// AWS gives creation and updates the same reason.
const (
	creatingReason = "The function is being created."
	creatingCode   = "Creating"
)

// judgeCreate checks the parameters in AWS's order: constraints of the model together, then runtime, then environment.
func (f *Functions) judgeCreate(in CreateInput) (*Configuration, error) {
	name, err := ParseName(in.Name, in.Caller)
	var v fault.Violations
	if fault.CodeOf(err) == fault.CodeValidation || err == nil && !word(name.Ref.Name, "") {
		v.Add(
			"functionName", fault.Clip(in.Name, maxNameARN),
			"Member must satisfy regular expression pattern: "+createNamePattern,
		)
	} else if err != nil {
		return nil, err
	}
	c := &Configuration{
		Ref: name.Ref, Version: Latest, Runtime: in.Runtime, Role: in.Role, Handler: in.Handler,
		Description: in.Description, Timeout: 3 * time.Second, MemoryMB: 128, EphemeralMB: 512,
		Environment:  in.Environment,
		Architecture: "x86_64", LogGroup: in.LogGroup, Owner: in.Owner,
	}
	if c.LogGroup == "" {
		c.LogGroup = DefaultLogGroup(name.Ref.Name)
	}
	if in.Role == "" {
		v.Null("role")
	}
	tags.Check(&v, in.Tags)
	checkLimits(&v, c, in.Timeout, in.MemoryMB, in.EphemeralMB)
	checkArchitectures(&v, c, in.Architecture)
	c.Role = checkRole(&v, c.Role, in.Caller.Account)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if name.Qualifier != "" && name.Qualifier != Latest {
		return nil, ErrUnqualified
	}
	if err := checkRuntime(c.Runtime); err != nil {
		return nil, err
	}
	if c.Handler == "" { // AWS requires one even if the runtime ignores it
		return nil, errMandatory
	}
	if len(in.Zip) == 0 {
		return nil, errEmptyZip
	}
	if c.Tags, err = tags.Change(nil, in.Tags, nil); err != nil {
		return nil, err
	}
	return c, checkEnvironment(c.Runtime, c.Environment)
}
