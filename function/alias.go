package function

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
)

// Alias is a name for a version that can be pointed to another. Its JSON form is stored. A value handed out is not
// modified.
type Alias struct {
	Name        string
	Version     string // $LATEST or a number
	Description string
	RevisionID  string
	// share of the invocations that go to another version, from 0 to 1; at most one
	Weights map[string]float64 `json:",omitempty"`
}

// Route returns the version for one invocation; coin is from 0 to below 1, and 1 stands for the main version.
func (a Alias) Route(coin float64) string {
	for version, weight := range a.Weights { // there is one at most
		if coin < weight {
			return version
		}
	}
	return a.Version
}

// AliasInput is the input of CreateAlias and UpdateAlias. For an update a nil member stays as it is.
type AliasInput struct {
	Ref         Ref
	Name        string
	Version     *string
	Description *string
	Weights     map[string]float64 // nil: none, or as they are; empty: none
	RevisionID  string             // expected by an update; "" for any
}

const (
	aliasPattern   = `(?!^[0-9]+$)([a-zA-Z0-9-_]+)`
	versionPattern = `(\$LATEST(\.PUBLISHED)?|[0-9]+)`
	maxAlias       = 128
)

// model records violations of AWS's service model.
func (in *AliasInput) model() error {
	var v fault.Violations
	checkAliasName(&v, in.Name)
	if in.Version != nil {
		checkVersionNumber(&v, "functionVersion", *in.Version)
	}
	if in.Description != nil {
		checkDescription(&v, *in.Description)
	}
	for _, version := range sortedKeys(in.Weights) {
		weight := in.Weights[version]
		shown := "{" + fault.Clip(version, 100) + "=" + strconv.FormatFloat(weight, 'f', -1, 64) + "}"
		if !digits(version) {
			v.Add(
				"routingConfig.additionalVersionWeights", shown,
				"Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]",
			)
		}
		if !(weight >= 0 && weight <= 1) {
			v.Add(
				"routingConfig.additionalVersionWeights", shown,
				"Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
			)
		}
	}
	return v.Err()
}

func checkAliasName(v *fault.Violations, name string) {
	if len(name) > maxAlias {
		v.Add("name", fault.Clip(name, maxAlias), "Member must have length less than or equal to 128")
	}
	if !word(name, "") || digits(name) {
		v.Add("name", fault.Clip(name, maxAlias), "Member must satisfy regular expression pattern: "+aliasPattern)
	}
}

func checkVersionNumber(v *fault.Violations, path, version string) {
	if version != Latest && !digits(version) {
		v.Add(path, fault.Clip(version, 100), "Member must satisfy regular expression pattern: "+versionPattern)
	}
}

// check judges where an alias of e points to.
func (a *Alias) check(e *entry) error {
	ref := e.conf.Ref
	if _, ok := e.version(a.Version); !ok {
		return NotFound(ref, ":"+a.Version)
	}
	if len(a.Weights) > 1 {
		return fault.New(
			fault.CodeInvalidParameter, "Number of items in AdditionalVersionWeights cannot be greater than 1",
		)
	}
	for other := range a.Weights {
		if other == a.Version {
			return fault.New(
				fault.CodeInvalidParameter,
				"Invalid function version %[1]s. Function version %[1]s is already included in routing configuration.",
				other,
			)
		}
		if a.Version == Latest {
			return fault.New(
				fault.CodeInvalidParameter, "$LATEST is not supported for an alias pointing to more than 1 version",
			)
		}
		if _, ok := e.version(other); !ok {
			return NotFound(ref, ":"+other)
		}
	}
	return nil
}

// CreateAlias adds an alias; Version is required. Faults: ValidationException; ResourceNotFoundException for the
// function or a version; ResourceConflictException when the name is taken; InvalidParameterValueException about
// weights. Source: Lambda API Reference, CreateAlias.
func (f *Functions) CreateAlias(ctx context.Context, in AliasInput) (Alias, error) {
	if err := in.model(); err != nil {
		return Alias{}, err
	}
	return f.changeAlias(ctx, in.Ref, func(e *entry) (Alias, error) {
		if _, ok := e.aliases[in.Name]; ok {
			return Alias{}, fault.New(fault.CodeConflict, "Alias already exists: %s:%s", in.Ref.ARN(), in.Name)
		}
		a := Alias{Name: in.Name, RevisionID: ids.New()}
		in.apply(&a)
		return a, a.check(e)
	})
}

// UpdateAlias changes the members of an alias that were given. Invocations that begin afterwards go where it points to
// now. Faults: those of CreateAlias; PreconditionFailedException.
func (f *Functions) UpdateAlias(ctx context.Context, in AliasInput) (Alias, error) {
	if err := in.model(); err != nil {
		return Alias{}, err
	}
	return f.changeAlias(ctx, in.Ref, func(e *entry) (Alias, error) {
		a, ok := e.aliases[in.Name]
		switch {
		case !ok:
			return Alias{}, fault.New(fault.CodeNotFound, "Alias not found: %s:%s", in.Ref.ARN(), in.Name)
		case in.RevisionID != "" && in.RevisionID != a.RevisionID:
			return Alias{}, errRevision
		}
		in.apply(&a)
		a.RevisionID = ids.New()
		return a, a.check(e)
	})
}

// apply sets what was given.
func (in *AliasInput) apply(a *Alias) {
	set(&a.Version, in.Version)
	set(&a.Description, in.Description)
	if in.Weights != nil {
		a.Weights = in.Weights
	}
	if len(a.Weights) == 0 {
		a.Weights = nil
	}
}

// changeAlias stores the alias that change returns. It is no change of the function: its revision id stays.
func (f *Functions) changeAlias(ctx context.Context, ref Ref, change func(*entry) (Alias, error)) (Alias, error) {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return Alias{}, NotFound(ref, "")
	}
	a, err := change(e)
	if err != nil {
		return Alias{}, err
	}
	aliases := map[string]Alias{a.Name: a}
	for name, other := range e.aliases {
		if name != a.Name {
			aliases[name] = other
		}
	}
	e.aliases = aliases
	if err := f.save(ctx, e); err != nil {
		return Alias{}, conflict(ref, err)
	}
	f.publish(ref, e)
	return a, nil
}

// DeleteAlias removes an alias and its policy. An unknown alias is no fault. Faults: ResourceNotFoundException for the
// function.
func (f *Functions) DeleteAlias(ctx context.Context, ref Ref, name string) error {
	var v fault.Violations
	if checkAliasName(&v, name); v.Err() != nil {
		return v.Err()
	}
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return NotFound(ref, "")
	}
	if _, ok := e.aliases[name]; !ok {
		return nil
	}
	e.aliases, e.policies = maps.Clone(e.aliases), maps.Clone(e.policies)
	delete(e.aliases, name)
	delete(e.policies, name)
	if err := f.save(ctx, e); err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, e)
	f.meter.forgetQualifier(ref, name)
	return nil
}

// Alias returns an alias. Faults: ValidationException; ResourceNotFoundException.
func (f *Functions) Alias(ref Ref, name string) (Alias, error) {
	var v fault.Violations
	if checkAliasName(&v, name); v.Err() != nil {
		return Alias{}, v.Err()
	}
	e := f.entry(ref)
	if e == nil {
		return Alias{}, NotFound(ref, "")
	}
	a, ok := e.aliases[name]
	if !ok {
		return Alias{}, noAlias(ref, name)
	}
	return a, nil
}

func noAlias(ref Ref, name string) error {
	return fault.New(fault.CodeNotFound, "Cannot find alias arn: %s:%s", ref.ARN(), name)
}

// Aliases returns up to n aliases of a function whose names come after after, by name, and whether there are more.
// version leaves only those that point to it, also with a weight; "" leaves all. Faults: ValidationException;
// ResourceNotFoundException.
func (f *Functions) Aliases(ref Ref, version, after string, n int) (page []Alias, more bool, err error) {
	var v fault.Violations
	if version != "" {
		checkVersionNumber(&v, "functionVersion", version)
	}
	if err := v.Err(); err != nil {
		return nil, false, err
	}
	e := f.entry(ref)
	if e == nil {
		return nil, false, NotFound(ref, "")
	}
	for _, name := range sortedKeys(e.aliases) {
		a := e.aliases[name]
		if _, extra := a.Weights[version]; name <= after || version != "" && a.Version != version && !extra {
			continue
		}
		if len(page) == n {
			return page, true, nil
		}
		page = append(page, a)
	}
	return page, false, nil
}

// ErrUnqualified is AWS's fault for a qualifier where only a whole function has what is asked for.
var ErrUnqualified = fault.New(fault.CodeInvalidParameter, "%s",
	"This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "+
		"Please specify either a function name or an unqualified function ARN.")

// QualifierNotFound returns AWS's fault for a qualifier that a function does not have.
func QualifierNotFound(ref Ref, qualifier string) error {
	if qualifier == "" || qualifier == Latest || digits(qualifier) {
		return NotFound(ref, suffixOf(qualifier))
	}
	return noAlias(ref, qualifier)
}

// suffixOf returns what a qualifier appends to an ARN.
func suffixOf(qualifier string) string {
	if qualifier == "" {
		return ""
	}
	return fmt.Sprint(":", qualifier)
}
