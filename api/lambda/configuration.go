package lambda

import "github.com/shardmill/shardmill/function"

// configuration is FunctionConfiguration on the wire.
type configuration struct {
	FunctionName               string
	FunctionArn                string
	Runtime                    string
	Role                       string
	Handler                    string
	CodeSize                   int64
	Description                string
	Timeout                    int
	MemorySize                 int
	LastModified               string
	CodeSha256                 string
	Version                    string
	Environment                *variables `json:",omitempty"`
	TracingConfig              mode
	RevisionId                 string
	State                      string `json:",omitempty"`
	StateReason                string `json:",omitempty"`
	StateReasonCode            string `json:",omitempty"`
	LastUpdateStatus           string `json:",omitempty"`
	LastUpdateStatusReason     string `json:",omitempty"`
	LastUpdateStatusReasonCode string `json:",omitempty"`
	PackageType                string
	Architectures              []string
	EphemeralStorage           struct{ Size int }
	SnapStart                  snapStart
	RuntimeVersionConfig       runtimeVersion
	LoggingConfig              logging
}

type (
	variables      struct{ Variables map[string]string }
	mode           struct{ Mode string }
	snapStart      struct{ ApplyOn, OptimizationStatus string }
	runtimeVersion struct{ RuntimeVersionArn string }
	logging        struct{ LogFormat, LogGroup string }
)

// modified is the form of LastModified, which unlike other times is a string.
const modified = "2006-01-02T15:04:05.000+0000"

// render shows a version of a function; its ARN ends in the qualifier, unless that is "".
func render(c *function.Configuration, qualifier string) *configuration {
	out := &configuration{
		FunctionName: c.Ref.Name, FunctionArn: c.ARN(), Runtime: c.Runtime, Role: c.Role, Handler: c.Handler,
		CodeSize: c.CodeBytes, Description: c.Description, Timeout: int(c.Timeout.Seconds()), MemorySize: c.MemoryMB,
		LastModified: c.LastModified.UTC().Format(modified), CodeSha256: function.Base64SHA(c.CodeSHA256),
		Version:       c.Version,
		TracingConfig: mode{"PassThrough"}, RevisionId: c.RevisionID,
		State: c.State, StateReason: c.StateReason, StateReasonCode: c.StateCode,
		LastUpdateStatus: c.UpdateStatus, LastUpdateStatusReason: c.UpdateReason,
		LastUpdateStatusReasonCode: c.UpdateCode,
		PackageType:                "Zip", Architectures: []string{c.Architecture}, SnapStart: snapStart{"None", "Off"},
		RuntimeVersionConfig: runtimeVersion{function.RuntimeVersionARN(c)}, LoggingConfig: logging{"Text", c.LogGroup},
	}
	out.EphemeralStorage.Size = c.EphemeralMB
	if qualifier != "" {
		out.FunctionArn += ":" + qualifier
	}
	if c.Environment != nil {
		out.Environment = &variables{c.Environment}
	}
	return out
}

// listed is render without the state, as lists show it.
func listed(c *function.Configuration, qualifier string) *configuration {
	out := render(c, qualifier)
	out.State, out.StateReason, out.StateReasonCode = "", "", ""
	out.LastUpdateStatus, out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = "", "", ""
	return out
}
