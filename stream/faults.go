package stream

import (
	"net/http"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/record"
)

// Codes of the faults in this room.
const (
	codeNotFound  = "ResourceNotFoundException"
	codeInUse     = "ResourceInUseException"
	codeInvalid   = "InvalidArgumentException"
	codeLimit     = "LimitExceededException"
	codeThrottled = "ProvisionedThroughputExceededException"
	codeInternal  = "InternalFailure"

	codeExpiredIterator = "ExpiredIteratorException"
	codeExpiredToken    = "ExpiredNextTokenException"
	codeDenied          = "AccessDeniedException"
)

// notFound returns the fault for an unknown stream, with a hint if the account has one of that name in another region.
func (s *Streams) notFound(name Name) error {
	f := fault.New(codeNotFound, "Stream %s under account %s not found.", name.Name, name.Account)
	if hint := s.elsewhere(name); hint != "" {
		f = f.WithHint("%s", hint)
	}
	return f
}

// shardMissing returns the fault for an unknown shard or stream. AWS's text has no full stop.
func (s *Streams) shardMissing(name Name, shard record.ShardID) error {
	f := fault.New(
		codeNotFound, "Shard %s in stream %s under account %s does not exist", shard, name.Name, name.Account,
	)
	if hint := s.elsewhere(name); hint != "" {
		f = f.WithHint("%s", hint)
	}
	return f
}

// elsewhere returns a hint at a stream of the same account and name in another region, or "".
func (s *Streams) elsewhere(name Name) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.byName[name] != nil {
		return ""
	}
	region := ""
	for other := range s.byName {
		if other.Account == name.Account && other.Name == name.Name && (region == "" || other.Region < region) {
			region = other.Region
		}
	}
	if region == "" {
		return ""
	}
	return "A stream named " + name.Name + " exists in " + region + "; this request was for " + name.Region + "."
}

func malformedShard(name Name, raw string) error {
	return fault.New(
		codeNotFound, "Could not find shard %s in stream %s under account %s.", raw, name.Name, name.Account,
	)
}

func notActive(name Name, status Status) error {
	return fault.New(
		codeInUse, "Stream %s under account %s not ACTIVE, instead in state %s", name.Name, name.Account, status,
	)
}

// hasConsumers returns AWS's fault for the deletion of a stream that has consumers.
func hasConsumers(name Name) error {
	return fault.New(codeInUse,
		"DeleteStream can't delete %[1]s:%[2]s because there are consumers associated with this data stream. "+
			"To delete %[2]s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the "+
			"consumers that are associated with it.", name.Account, name.Name)
}

func throttled(name Name, shard record.ShardID) *fault.Error {
	return fault.New(
		codeThrottled, "Rate exceeded for shard %s in stream %s under account %s.", shard, name.Name, name.Account,
	)
}

// internal returns a server fault of which the caller sees only a hint.
func internal(hint string) *fault.Error {
	return &fault.Error{
		Code: codeInternal, Message: "Internal Service Failure", Status: http.StatusInternalServerError, Hint: hint,
	}
}

// hintFull is what to do when storage refuses records for lack of room.
const hintFull = "No room is left for records: the disk is below --min-free, or memory above --memory-limit. Reads go on; free some space, raise the limit or delete streams."

// expiredTime prints t as AWS does in its messages about expired tokens.
func expiredTime(t time.Time) string { return t.UTC().Format("Mon Jan 02 15:04:05 UTC 2006") }

// ParseARN reads the ARN of a stream. An account of fewer than twelve digits, as tutorials print them, means the
// caller's; then hint says so. Fault: InvalidArgumentException for text that is not a stream ARN, or whose partition is
// not the region's.
func ParseARN(text, callerAccount string) (name Name, hint string, err error) {
	a, ok := arn.Parse(text)
	if ok {
		var folded bool
		name.Account, folded, ok = arn.FoldAccount(a.Account, callerAccount)
		if folded {
			hint = "An account id has 12 digits; " + a.Account + " was read as " + callerAccount + "."
		}
	}
	resource, isStream := "", false
	if rest, found := strings.CutPrefix(a.Resource, "stream/"); found {
		resource, isStream = rest, rest != ""
	}
	if !ok || !isStream || a.Service != "kinesis" || a.Region == "" || a.Partition != arn.PartitionOf(a.Region) {
		return Name{}, "", fault.New(codeInvalid, "%s is not the ARN of a stream.", clip(text))
	}
	name.Region, name.Name = a.Region, resource
	return name, hint, nil
}

// clip shortens a caller's text for an error message.
func clip(s string) string { return fault.Clip(s, 256) }
