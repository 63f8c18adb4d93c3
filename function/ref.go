package function

import (
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Latest is the version that code and configuration are changed in.
const Latest = "$LATEST"

// Ref names a function.
type Ref struct{ Account, Region, Name string }

// ARN returns the unqualified ARN.
func (r Ref) ARN() string {
	return arn.New("lambda", r.Region, r.Account, "function:"+r.Name).String()
}

func (r Ref) String() string { return r.ARN() }

// Caller is the account and region that a request comes from; names without an ARN are looked up there.
type Caller struct{ Account, Region string }

// Name is a parsed FunctionName parameter.
type Name struct {
	Ref       Ref
	Qualifier string // as given in the name; "" without one
	Hint      string // advice when an account id was folded to the caller's
}

// ARN returns the ARN with the qualifier, if there is one.
func (n Name) ARN() string { return n.Ref.ARN() + suffixOf(n.Qualifier) }

// Patterns that AWS's answers quote. Create allows no dot in names.
const (
	namePattern       = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`
	createNamePattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`
)

// maxName is the length of a function name; maxNameARN bounds every form of the parameter.
const (
	maxName    = 64
	maxNameARN = 256
)

// ParseName takes a FunctionName parameter: name, name:qualifier, account:function:name or a whole ARN, each with an
// optional qualifier. An account of one to eleven digits, as tutorials print it, folds to the caller's; another account
// is refused with AccessDeniedException, another region with ResourceNotFoundException. Source: Lambda API Reference,
// GetFunction, URI request parameters.
func ParseName(s string, c Caller) (Name, error) {
	n, ok := splitName(s)
	if !ok {
		var v fault.Violations
		if len(s) > maxNameARN {
			v.Add("functionName", fault.Clip(s, maxNameARN), "Member must have length less than or equal to 256")
		}
		v.Add("functionName", fault.Clip(s, maxNameARN), "Member must satisfy regular expression pattern: "+namePattern)
		return Name{}, v.Err()
	}
	if n.Ref.Region != "" && n.Ref.Region != c.Region {
		return Name{}, fault.New(
			fault.CodeNotFound, "Functions from '%s' are not reachable in this region ('%s')", n.Ref.Region, c.Region,
		)
	}
	if given := n.Ref.Account; given != "" {
		account, folded, ok := arn.FoldAccount(given, c.Account)
		if !ok || account != c.Account {
			return Name{}, fault.New(
				fault.CodeAccessDenied, "The account %s of the function is not the caller's account %s.", given,
				c.Account,
			)
		}
		if folded {
			n.Hint = FoldHint(given, account)
		}
	}
	n.Ref.Account, n.Ref.Region = c.Account, c.Region
	return n, nil
}

// AccountOf returns the account that a FunctionName parameter names; "" for one that names none.
func AccountOf(s string) string {
	n, _ := splitName(s)
	return n.Ref.Account
}

// FoldHint returns a hint that an account id was completed.
func FoldHint(given, account string) string {
	return "Account ids have 12 digits; " + given + " was taken as " + account + "."
}

// splitName parses without judging account and region; empty ones were not given.
func splitName(s string) (Name, bool) {
	if len(s) == 0 || len(s) > maxNameARN {
		return Name{}, false
	}
	var n Name
	var rest string
	if strings.HasPrefix(s, "arn:") {
		a, ok := arn.Parse(s)
		if !ok || a.Service != "lambda" || !strings.HasPrefix(a.Partition, "aws") || a.Region == "" || a.Account == "" {
			return Name{}, false
		}
		if rest, ok = strings.CutPrefix(a.Resource, "function:"); !ok {
			return Name{}, false
		}
		n.Ref.Region, n.Ref.Account = a.Region, a.Account
	} else if account, after, ok := strings.Cut(s, ":function:"); ok {
		n.Ref.Account, rest = account, after
		if region, id, ok := strings.Cut(account, ":"); ok {
			n.Ref.Region, n.Ref.Account = region, id
		}
	} else {
		rest = strings.TrimPrefix(s, "function:")
	}
	if n.Ref.Account != "" && !digits(n.Ref.Account) {
		return Name{}, false
	}
	var qualified bool
	n.Ref.Name, n.Qualifier, qualified = strings.Cut(rest, ":")
	if !word(n.Ref.Name, ".") || qualified && n.Qualifier != Latest && !word(n.Qualifier, "") {
		return Name{}, false
	}
	return n, len(n.Ref.Name) <= maxName
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// word reports whether s is made of letters, digits, - and _, and the extra characters.
func word(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_',
			strings.IndexByte(extra, c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
