package function

import (
	"maps"
	"slices"
	"time"
)

// States of a function, and of its last update.
const (
	Pending = "Pending"
	Active  = "Active"
	Failed  = "Failed"

	InProgress = "InProgress"
	Successful = "Successful"
)

// Configuration describes a version of a function at one moment. A value handed out is a snapshot that neither we nor
// the receiver modify. Its JSON form is stored.
type Configuration struct {
	Ref           Ref
	Version       string // $LATEST, or the number of a published version
	Runtime       string
	Role          string
	Handler       string
	Description   string
	Timeout       time.Duration     // whole seconds, 1 to 900
	MemoryMB      int               // 128 to 10240
	EphemeralMB   int               // size of /tmp, 512 to 10240; held at level sandbox
	Environment   map[string]string // nil: never set; empty: set to nothing
	Architecture  string            // x86_64 or arm64
	LogGroup      string
	CodeSHA256    string // lower-case hex of the SHA-256 of the zip
	CodeBytes     int64  // of the zip
	LastModified  time.Time
	RevisionID    string
	Generation    uint64 // grows with each change of code or configuration
	Created       time.Time
	Reserved      *int   // reserved concurrency; nil: none
	State         string // Pending, Active, Failed
	StateReason   string
	StateCode     string
	UpdateStatus  string // "", InProgress, Successful, Failed
	UpdateReason  string
	UpdateCode    string
	RuntimeDigest string            // 64 hex digits: what the runtime version ARN ends in
	Tags          map[string]string `json:",omitempty"` // of the function, not of a version; nil: none
	Hint          string            // advice for a person about how it runs here; "" without any

	// Owner is whoever said last what the version does, by the name in the key file: its calls may do what the owner
	// may. "": signatures were not verified then.
	Owner string `json:",omitempty"`
}

// ARN returns the unqualified ARN.
func (c *Configuration) ARN() string { return c.Ref.ARN() }

// clone returns a copy that may be changed.
func (c *Configuration) clone() *Configuration {
	d := *c
	d.Environment = maps.Clone(c.Environment)
	d.Tags = maps.Clone(c.Tags)
	if c.Reserved != nil {
		n := *c.Reserved
		d.Reserved = &n
	}
	return &d
}

// settled reports whether no transition is under way.
func (c *Configuration) settled() bool { return c.State != Pending && c.UpdateStatus != InProgress }

// sortedKeys are the keys of m in byte order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
