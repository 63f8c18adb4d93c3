package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a key file.
const (
	maxFile     = 1 << 20 // bytes
	maxPatterns = 100     // of one key
	minID       = 16
	maxID       = 128
	minSecret   = 16
	maxSecret   = 256
	maxName     = 128
	maxPattern  = 128
)

// DefaultAccount is the account of a key that names none.
const DefaultAccount = "000000000000"

// Parse returns the keys of a file, by their ids. An error names the line and holds nothing of what the file says,
// because that could be a secret.
func Parse(content []byte) (map[string]*Key, error) {
	if len(content) > maxFile {
		return nil, fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	root, err := document(content)
	if err != nil {
		return nil, err
	}
	keys, named := map[string]*Key{}, map[string]bool{}
	if root == nil {
		return keys, nil
	}
	top, err := entries(root, "the file", "keys")
	if err != nil {
		return nil, err
	}
	list, ok := top["keys"]
	if !ok || null(list) {
		return keys, nil
	}
	if list.Kind != yaml.MappingNode {
		return nil, problem(list, "keys must be a mapping from access key ids to what belongs to them")
	}
	for i := 0; i+1 < len(list.Content); i += 2 {
		k, err := key(list.Content[i], list.Content[i+1])
		switch {
		case err != nil:
			return nil, err
		case keys[k.ID] != nil:
			return nil, problem(list.Content[i], "this access key id is there twice")
		case named[k.Name]:
			return nil, problem(list.Content[i], "another key has the same name")
		}
		keys[k.ID], named[k.Name] = k, true
	}
	return keys, nil
}

// document returns what is in the one document of a file; nil: nothing.
func document(content []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: ")) // its texts name lines and no contents
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	root := doc.Content[0]
	if null(root) {
		return nil, nil
	}
	return root, nil
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func problem(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

// entries returns the members of a mapping that has only known ones.
func entries(n *yaml.Node, what string, known ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, problem(n, "%s must be a mapping", what)
	}
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode || !slices.Contains(known, name.Value):
			return nil, problem(name, "%s has only the members %s", what, strings.Join(known, ", "))
		case out[name.Value] != nil:
			return nil, problem(name, "%s is there twice", name.Value)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			return nil, problem(value, "anchors and aliases are not supported")
		}
		out[name.Value] = value
	}
	return out, nil
}

// key reads one key.
func key(id, n *yaml.Node) (*Key, error) {
	if id.Kind != yaml.ScalarNode || !validID(id.Value) {
		return nil, problem(
			id, "an access key id has %d to %d letters, digits and underscores; twelve digits are an account", minID, maxID,
		)
	}
	k := &Key{ID: id.Value, Account: DefaultAccount}
	members, err := entries(n, "a key", "name", "secret", "account", "role", "streams")
	if err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name  string
		into  *string
		valid func(string) bool
		rule  string
		must  bool
	}{
		{"name", &k.Name, validName, "has 1 to 128 letters, digits and characters of + = , . @ - _", true},
		{"secret", &k.Secret, validSecret, "has 16 to 256 visible characters of ASCII", true},
		{"account", &k.Account, isAccount, "has twelve digits", false},
		{"role", (*string)(&k.Rights.Role), validRole, "is one of view, consume, produce, operate, admin", true},
	} {
		v, there := members[m.name]
		switch {
		case !there && m.must:
			return nil, problem(id, "the key has no %s", m.name)
		case !there:
			continue
		case v.Kind != yaml.ScalarNode || null(v) || !m.valid(v.Value):
			return nil, problem(v, "%s %s", m.name, m.rule)
		}
		*m.into = v.Value // as it is written: an account is no number
	}
	if v, ok := members["streams"]; ok {
		if k.Rights.Streams, err = patterns(v); err != nil {
			return nil, err
		}
	}
	k.ARN = "arn:aws:iam::" + k.Account + ":user/" + k.Name
	return k, nil
}

// patterns reads the patterns of streams. There is at least one: an empty list could be taken for all or none.
func patterns(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || len(n.Content) > maxPatterns {
		return nil, problem(n, "streams is a list of 1 to %d patterns; without it the key may use all streams", maxPatterns)
	}
	var out []string
	for _, e := range n.Content {
		if e.Kind != yaml.ScalarNode || null(e) || !ValidPattern(e.Value) {
			return nil, problem(e, "a pattern has 1 to %d characters of a stream's name, and * for any text", maxPattern)
		}
		out = append(out, e.Value)
	}
	return out, nil
}

func validID(s string) bool {
	return len(s) >= minID && len(s) <= maxID && only(s, "_")
}

func validName(s string) bool { return s != "" && len(s) <= maxName && only(s, "+=,.@-_") }

// ValidPattern reports whether s can be a pattern of the names of streams.
func ValidPattern(s string) bool { return s != "" && len(s) <= maxPattern && only(s, "_.-*") }

// ValidName reports whether s can be the name of a key.
func ValidName(s string) bool { return validName(s) }

// ValidAccount reports whether s has the form of an account: twelve digits.
func ValidAccount(s string) bool { return isAccount(s) }

func validRole(s string) bool { return Role(s).Valid() }

// only reports whether a text has nothing but letters, digits and the characters of more.
func only(s, more string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return true
}

func validSecret(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= minSecret && len(s) <= maxSecret
}

func isAccount(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 12
}
