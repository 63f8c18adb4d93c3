package identity

import "github.com/shardmill/shardmill/fault"

// Codes of faults. Source: IAM API Reference, errors of each operation.
const (
	CodeNoSuchEntity = "NoSuchEntity"
	CodeExists       = "EntityAlreadyExists"
	CodeConflict     = "DeleteConflict"
	CodeMalformed    = "MalformedPolicyDocument"
	CodeLimit        = "LimitExceeded"
)

func malformed(text string) error { return fault.New(CodeMalformed, "%s", text) }

func noSuchRole(name string) error {
	return fault.New(CodeNoSuchEntity, "The role with name %s cannot be found.", clip(name))
}

func noSuchRolePolicy(name string) error {
	return fault.New(CodeNoSuchEntity, "The role policy with name %s cannot be found.", clip(name))
}

func noSuchPolicy(arn string) error {
	return fault.New(CodeNoSuchEntity, "Policy %s was not found.", clip(arn))
}

// clip shortens a caller's value for quoting.
func clip(s string) string { return fault.Clip(s, 100) }
