package function

import (
	"slices"
	"strings"
)

// The account and the region that clients have by default.
const (
	usualAccount = "000000000000"
	usualRegion  = "us-east-1"
)

// Title returns a function for people: its name, with the account and the region where they are not the usual ones, as
// in worker (111122223333, eu-west-1).
func (r Ref) Title() string { return r.Name + Elsewhere(r.Account, r.Region) }

// Elsewhere names an account and a region in brackets, after a space, as far as they are not the usual ones.
func Elsewhere(account, region string) string {
	var parts []string
	if account != usualAccount {
		parts = append(parts, account)
	}
	if region != usualRegion {
		parts = append(parts, region)
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// Compare orders functions by name, and those of one name by account and region.
func (r Ref) Compare(o Ref) int {
	return strings.Compare(r.Name+"\x00"+r.Account+"\x00"+r.Region, o.Name+"\x00"+o.Account+"\x00"+o.Region)
}

// Named lists the functions of a name in all accounts and regions, in order.
func (f *Functions) Named(name string) []Ref {
	f.mu.RLock()
	var found []Ref
	for ref := range f.entries {
		if ref.Name == name {
			found = append(found, ref)
		}
	}
	f.mu.RUnlock()
	slices.SortFunc(found, Ref.Compare)
	return found
}

// DefaultLogGroup returns where the functions of a name log unless their LoggingConfig says otherwise.
func DefaultLogGroup(name string) string { return "/aws/lambda/" + name }

// ReplayStream returns the log stream of a group that says which invocations of a function were replays.
func ReplayStream(group, name string) string {
	if group == DefaultLogGroup(name) {
		return "shardmill/replay"
	}
	return "shardmill/replay/" + name
}

// LogsTo reports whether a stream of a log group is one that the function of a name writes to: a group may be shared by
// several functions, of which one may be its namesake. In a function's own group streams that no function wrote count
// as its, too.
func LogsTo(group, stream, name string) bool {
	own := group == DefaultLogGroup(name)
	if rest, ok := strings.CutPrefix(stream, "shardmill/replay"); ok {
		return own && rest == "" || rest == "/"+name
	}
	parts := strings.SplitN(stream, "/", 4) // year, month, day
	if len(parts) < 4 {
		return own
	}
	writer, rest, ok := strings.Cut(parts[3], "[")
	version, _, closed := strings.Cut(rest, "]")
	if !ok || !closed || writer == "" || version != Latest && !digits(version) {
		return own
	}
	return writer == name
}
