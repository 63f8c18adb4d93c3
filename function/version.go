package function

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// version returns $LATEST or a published version.
func (e *entry) version(number string) (version, bool) {
	if number == Latest {
		return version{live: e.live}, true
	}
	v, ok := e.versions[number]
	return v, ok
}

// set replaces a version, or adds it. The map that others may hold stays as it is.
func (e *entry) set(v version) {
	if v.conf.Version == Latest {
		e.live = v.live
		return
	}
	e.versions = maps.Clone(e.versions)
	e.versions[v.conf.Version] = v
}

// resolve returns the version that a qualifier stands for; "" is $LATEST. With a weighted alias coin decides, a number
// from 0 to below 1.
func (e *entry) resolve(qualifier string, coin float64) (version, bool) {
	if qualifier == "" {
		qualifier = Latest
	}
	if a, ok := e.aliases[qualifier]; ok {
		qualifier = a.Route(coin)
	}
	return e.version(qualifier)
}

// numbers returns the numbers of the published versions, ascending.
func (e *entry) numbers() []string {
	return slices.SortedFunc(maps.Keys(e.versions), CompareVersions)
}

// CompareVersions orders versions: "", $LATEST, then numbers, ascending.
func CompareVersions(a, b string) int {
	rank := func(v string) int {
		if v == Latest {
			return 1
		}
		return len(v) * 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

// Find returns the version that a qualifier stands for as it is now: "" or $LATEST, a number, or an alias, whose main
// version it is.
func (f *Functions) Find(ref Ref, qualifier string) (*Configuration, bool) {
	e := f.entry(ref)
	if e == nil {
		return nil, false
	}
	v, ok := e.resolve(qualifier, 1)
	return v.conf, ok
}

// Versions returns $LATEST and the published versions of a function, in this order, ascending. Faults:
// ResourceNotFoundException.
func (f *Functions) Versions(ref Ref) ([]*Configuration, error) {
	e := f.entry(ref)
	if e == nil {
		return nil, NotFound(ref, "")
	}
	return e.all(), nil
}

func (e *entry) all() []*Configuration {
	all := []*Configuration{e.conf}
	for _, number := range e.numbers() {
		all = append(all, e.versions[number].conf)
	}
	return all
}

// fingerprint identifies what a version is published from: versions of equal code and configuration are the same.
func fingerprint(c *Configuration) string {
	b, err := json.Marshal(struct {
		Runtime, Role, Handler, Description, Architecture, LogGroup, CodeSHA256 string
		Timeout                                                                 time.Duration
		MemoryMB, EphemeralMB                                                   int
		Environment                                                             map[string]string
	}{
		c.Runtime, c.Role, c.Handler, c.Description, c.Architecture, c.LogGroup, c.CodeSHA256, c.Timeout, c.MemoryMB,
		c.EphemeralMB, c.Environment,
	})
	if err != nil {
		panic(fmt.Sprintf("encode a configuration: %v", err)) // texts and numbers always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// nextVersion returns the version that publishing $LATEST makes, or the last one if nothing has changed since. A
// description, unless it is "", takes the place of that of $LATEST.
func (f *Functions) nextVersion(e *entry, description string) (v version, made bool) {
	v.print = fingerprint(e.conf)
	if numbers := e.numbers(); len(numbers) > 0 {
		if last := e.versions[numbers[len(numbers)-1]]; last.print == v.print {
			return last, false
		}
	}
	v.conf = e.conf.clone()
	v.conf.Version = strconv.FormatUint(e.last+1, 10)
	v.conf.Reserved, v.conf.Tags = nil, nil // they are the function's
	if description != "" {
		v.conf.Description = description
	}
	if !e.conf.settled() {
		v.conf.State, v.conf.StateReason, v.conf.StateCode = Pending, creatingReason, creatingCode
		v.conf.UpdateStatus, v.conf.UpdateReason, v.conf.UpdateCode = "", "", ""
	}
	f.touch(v.conf)
	v.revision, v.settled = storage.Absent, make(chan struct{})
	return v, true
}

// saveWithVersion is save that also publishes e. It returns the version, which is in e and being activated unless
// $LATEST is settled. f.change is held.
func (f *Functions) saveWithVersion(ctx context.Context, e *entry, description string) (*Configuration, error) {
	v, made := f.nextVersion(e, description)
	if !made {
		return v.conf, f.save(ctx, e)
	}
	op, err := v.op()
	if err != nil {
		return nil, err
	}
	e.conf = e.conf.clone()
	f.touch(e.conf)
	e.last++
	f.code.retain(v.conf.CodeSHA256)
	if err := f.save(ctx, e, op); err != nil {
		f.dropCode(v.conf.CodeSHA256, err)
		return nil, err
	}
	v.revision = e.revision // one commit, one revision
	switch {
	case !v.conf.settled():
		defer f.activate(v.live)
	case v.conf.State == Active:
		v.current = f.newGeneration(v.conf)
		fallthrough
	default:
		close(v.settled)
	}
	e.set(v)
	return v.conf, nil
}

// PublishInput is the input of Publish.
type PublishInput struct {
	Ref         Ref
	Description string // of the version; "": that of $LATEST
	CodeSHA256  string // expected, in base64; "" for any
	RevisionID  string // expected of $LATEST; "" for any
}

// Publish makes a version of what $LATEST is now, and returns it. A version never changes; its number is used once. If
// nothing has changed since the last version, that one is returned. Faults: ValidationException;
// ResourceNotFoundException; PreconditionFailedException; InvalidParameterValueException for other code than expected;
// ResourceConflictException while a transition takes longer than a second. Source: Lambda API Reference,
// PublishVersion.
func (f *Functions) Publish(ctx context.Context, in PublishInput) (*Configuration, error) {
	var v fault.Violations
	checkDescription(&v, in.Description)
	if err := v.Err(); err != nil {
		return nil, err
	}
	e, err := f.settle(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	defer f.change.Unlock()
	if in.RevisionID != "" && in.RevisionID != e.conf.RevisionID {
		return nil, errRevision
	}
	if has := Base64SHA(e.conf.CodeSHA256); in.CodeSHA256 != "" && in.CodeSHA256 != has {
		return nil, fault.New(fault.CodeInvalidParameter,
			"CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.",
			fault.Clip(in.CodeSHA256, 200), has)
	}
	if last, made := f.nextVersion(e, in.Description); !made {
		return last.conf, nil
	}
	conf, err := f.saveWithVersion(ctx, e, in.Description)
	if err != nil {
		return nil, conflict(in.Ref, err)
	}
	f.publish(in.Ref, e)
	return conf, nil
}

// checkDescription judges the length of a description.
func checkDescription(v *fault.Violations, description string) {
	if utf8.RuneCountInString(description) > maxDescription {
		v.Add(
			"description", fault.Clip(description, maxDescription),
			"Member must have length less than or equal to 256",
		)
	}
}

// Base64SHA returns a package's SHA-256 as AWS writes it.
func Base64SHA(hexSHA string) string {
	b, _ := hex.DecodeString(hexSHA)
	return base64.StdEncoding.EncodeToString(b)
}

// DeleteVersion removes a published version. Invocations under way finish; then its environments and, unless another
// version has the same, its code are gone. An unknown version is no fault. Faults: ResourceNotFoundException for the
// function; InvalidParameterValueException for $LATEST and aliases; ResourceConflictException while an alias points to
// it.
func (f *Functions) DeleteVersion(ctx context.Context, ref Ref, qualifier string) error {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	switch {
	case e == nil:
		return NotFound(ref, "")
	case qualifier == Latest:
		return fault.New(fault.CodeInvalidParameter, "$LATEST version cannot be deleted without deleting the function.")
	case !digits(qualifier):
		return fault.New(fault.CodeInvalidParameter, "Deletion of aliases is not currently supported.")
	}
	v, ok := e.versions[qualifier]
	if !ok {
		return nil
	}
	var by []string
	for _, name := range sortedKeys(e.aliases) {
		if _, extra := e.aliases[name].Weights[qualifier]; extra || e.aliases[name].Version == qualifier {
			by = append(by, name)
		}
	}
	if len(by) > 0 {
		return fault.New(
			fault.CodeConflict, "Unable to delete version because the following aliases reference it: [%s]",
			strings.Join(by, ", "),
		)
	}
	e.versions, e.policies = maps.Clone(e.versions), maps.Clone(e.policies)
	delete(e.versions, qualifier)
	delete(e.policies, qualifier)
	if err := f.save(ctx, e, storage.Op{Key: ref.versionKey(qualifier), Expect: v.revision}); err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, e)
	f.end(v.live)
	f.meter.forgetQualifier(ref, qualifier)
	return nil
}
