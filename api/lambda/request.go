package lambda

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/jsontext"
	"github.com/shardmill/shardmill/internal/policy"
)

// maxBody is AWS's limit of a request body, in bytes, where no other is set.
const maxBody = 70_167_211

// body reads the request's body, up to limit bytes.
func (c *call) body(limit int64, name string) ([]byte, error) {
	return readBody(c.r, limit, func() error {
		return fault.New(fault.CodeTooLarge, "Request must be smaller than %d bytes for the %s operation", limit, name)
	})
}

// readBody reads a body of at most limit bytes; tooLarge makes the fault of a longer one.
func readBody(r *http.Request, limit int64, tooLarge func() error) ([]byte, error) {
	b, err := wire.AppendBody(nil, r, limit)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case fault.CodeOf(err) != "":
		return nil, err
	case err != nil:
		return nil, fault.New(fault.CodeInvalidRequestContent, "Could not read the request body.")
	}
	return b, nil
}

// decode reads a JSON body into v.
func (c *call) decode(v any) error {
	b, err := c.body(maxBody, c.op)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		b = []byte("{}")
	}
	if err := cmp.Or(wire.ChargeTree(c.r.Context(), b), faithful(b)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fault.New(
			fault.CodeInvalidRequestContent, "Could not parse request body into json: %s",
			strings.TrimPrefix(err.Error(), "json: "),
		)
	}
	return nil
}

// faithful refuses a body whose texts Go would change: two names that differ only in invalid Unicode must not become
// one.
func faithful(b []byte) error {
	if jsontext.Faithful(b) {
		return nil
	}
	return fault.New(fault.CodeInvalidRequestContent, "Could not parse request body into json: it is not valid Unicode")
}

// name resolves the FunctionName of the path together with the Qualifier parameter.
func (c *call) name() (function.Ref, string, error) {
	var v fault.Violations
	qualifier := c.r.URL.Query().Get("Qualifier")
	checkQualifier(&v, qualifier)
	n, err := c.parse(c.params["FunctionName"], qualifier)
	switch {
	case err != nil:
		return function.Ref{}, "", err
	case v.Err() != nil:
		return function.Ref{}, "", v.Err()
	}
	c.hint(n.Hint)
	switch {
	case n.Qualifier != "" && qualifier != "" && n.Qualifier != qualifier:
		return function.Ref{}, "", fault.New(
			fault.CodeInvalidParameter,
			"The derived qualifier from the function name does not match the specified qualifier.",
		)
	case qualifier == "":
		qualifier = n.Qualifier
	}
	return n.Ref, qualifier, nil
}

// parse takes a FunctionName apart. A function of another account is the caller's to use where its permissions say so;
// one that is not there is not told apart from one that is not shared.
func (c *call) parse(name, qualifier string) (function.Name, error) {
	n, err := function.ParseName(name, function.Caller{Account: c.caller.Account, Region: c.caller.Region})
	owner := function.AccountOf(name)
	if fault.CodeOf(err) != fault.CodeAccessDenied || !arn.IsAccount(owner) {
		return n, err
	}
	there, err := function.ParseName(name, function.Caller{Account: owner, Region: c.caller.Region})
	if err != nil {
		return n, err
	}
	action := c.op
	if action == "Invoke" {
		action = "InvokeFunction"
	}
	resource := there.Ref.ARN()
	if q := cmp.Or(there.Qualifier, qualifier); q != "" {
		resource += ":" + q
	}
	var document *policy.Document
	if c.permissions != nil {
		document = c.permissions(there.Ref, cmp.Or(there.Qualifier, qualifier))
	}
	refusal := document.Judge(
		policy.Request{Caller: c.caller.Principal(), Action: "lambda:" + action, Resource: resource}, owner, false,
	)
	if refusal != nil {
		return n, refusal.Fault(fault.CodeAccessDenied)
	}
	return there, nil
}

const maxQualifier = 128

// checkQualifier judges the form of a qualifier.
func checkQualifier(v *fault.Violations, qualifier string) {
	if len(qualifier) > maxQualifier {
		v.Add("qualifier", clip(qualifier), "Member must have length less than or equal to 128")
	}
	for _, r := range qualifier {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '$' {
			v.Add(
				"qualifier", clip(qualifier), "Member must satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)",
			)
			return
		}
	}
}

// whole is name for operations that change a function: they take no version but $LATEST.
func (c *call) whole() (function.Ref, error) {
	ref, qualifier, err := c.name()
	if err == nil && qualifier != "" && qualifier != function.Latest {
		err = function.ErrUnqualified
	}
	return ref, err
}

// page reads MaxItems and Marker: how many items one page holds at most, and what the marker says, or "".
func (c *call) page() (n int, after string, err error) {
	var v fault.Violations
	if n, after, err = c.pageOf(&v); err == nil {
		err = v.Err()
	}
	return n, after, err
}

// pageOf is page where more than these two parameters may violate the model.
func (c *call) pageOf(v *fault.Violations) (n int, after string, err error) {
	query := c.r.URL.Query()
	n = pageSize
	if s := query.Get("MaxItems"); s != "" {
		items, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return 0, "", fault.New(fault.CodeInvalidParameter, "MaxItems must be a number; got %s.", clip(s))
		}
		v.Range("maxItems", items, 1, 10000)
		n = min(n, int(items))
	}
	marker, err := base64.RawURLEncoding.DecodeString(query.Get("Marker"))
	if err != nil {
		return 0, "", fault.New(
			fault.CodeInvalidParameter, "The marker %s is not one that %s gave.", clip(query.Get("Marker")), c.op,
		)
	}
	return n, string(marker), nil
}

// marker returns the marker of a page that ends with last.
func marker(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// others are parameters of CreateFunction and UpdateFunctionConfiguration that shardmill does not have. Values that
// switch nothing on are accepted, because the AWS CLI, SAM and Terraform send them.
type others struct {
	VpcConfig, DeadLetterConfig, KMSKeyArn, TracingConfig, Layers, FileSystemConfigs, ImageConfig,
	CodeSigningConfigArn json.RawMessage
	CapacityProviderConfig, PublishTo, DurableConfig, TenancyConfig json.RawMessage
	SnapStart                                                       snapStartGiven
}

// snapStartGiven is a SnapStart as sent. Answers also have an OptimizationStatus, which is not a parameter and is
// ignored if it is sent back.
type snapStartGiven struct{ ApplyOn json.RawMessage }

func (s snapStartGiven) asked() json.RawMessage { return s.ApplyOn }

// refuse names the first parameter that asks for something.
func (o *others) refuse() error {
	for _, p := range []struct {
		name    string
		value   json.RawMessage
		neutral string // the value that switches nothing on
	}{
		{"VpcConfig", o.VpcConfig, ""},
		{"DeadLetterConfig", o.DeadLetterConfig, ""},
		{"KMSKeyArn", o.KMSKeyArn, ""},
		{"TracingConfig (Mode Active)", o.TracingConfig, "PassThrough"},
		{"Layers", o.Layers, ""},
		{"FileSystemConfigs", o.FileSystemConfigs, ""},
		{"ImageConfig", o.ImageConfig, ""},
		{"CodeSigningConfigArn", o.CodeSigningConfigArn, ""},
		{"SnapStart (ApplyOn PublishedVersions)", o.SnapStart.asked(), "None"},
		{"CapacityProviderConfig", o.CapacityProviderConfig, ""},
		{"PublishTo", o.PublishTo, ""},
		{"DurableConfig", o.DurableConfig, ""},
		{"TenancyConfig", o.TenancyConfig, ""},
	} {
		if len(p.value) == 0 {
			continue
		}
		var v any
		if err := json.Unmarshal(p.value, &v); err != nil || !asksNothing(v, p.neutral) {
			return unsupported(p.name)
		}
	}
	return nil
}

// asksNothing: null, false, empty, the neutral word, or made of nothing else.
func asksNothing(v any, neutral string) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == "" || v == neutral
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, member := range v {
			if !asksNothing(member, neutral) {
				return false
			}
		}
		return true
	}
	return false
}

type environment struct {
	Variables map[string]*string
}

// variables returns nil when none were given, and an empty map when an empty one was.
func (e *environment) variables() map[string]string {
	if e == nil {
		return nil
	}
	vars := make(map[string]string, len(e.Variables))
	for k, v := range e.Variables {
		if v != nil {
			vars[k] = *v
		}
	}
	return vars
}

// settings are the parameters that CreateFunction and UpdateFunctionConfiguration have in common.
type settings struct {
	EphemeralStorage *ephemeralStorage
	LoggingConfig    *loggingConfig
	others
}

// read judges the settings and returns the log group, "" when none was given, and the size of /tmp in MB, nil when none
// was.
func (s *settings) read() (group string, size *int, err error) {
	if group, err = s.LoggingConfig.group(); err != nil {
		return "", nil, err
	}
	size, err = s.EphemeralStorage.size()
	return group, size, err
}

type ephemeralStorage struct{ Size *int }

func (e *ephemeralStorage) size() (*int, error) {
	if e == nil {
		return nil, nil
	}
	if e.Size == nil {
		var v fault.Violations
		v.Null("ephemeralStorage.size")
		return nil, v.Err()
	}
	return e.Size, nil
}

type loggingConfig struct {
	LogFormat, ApplicationLogLevel, SystemLogLevel, LogGroup string
}

// group judges a logging configuration and returns its log group, "" when none was given.
func (l *loggingConfig) group() (string, error) {
	switch {
	case l == nil:
		return "", nil
	case l.LogFormat == "JSON":
		return "", unsupported("LoggingConfig (LogFormat JSON)")
	case l.LogFormat != "" && l.LogFormat != "Text":
		var v fault.Violations
		v.Add("loggingConfig.logFormat", l.LogFormat, "Member must satisfy enum value set: [JSON, Text]")
		return "", v.Err()
	case l.ApplicationLogLevel != "" || l.SystemLogLevel != "":
		return "", fault.New(fault.CodeInvalidParameter,
			`LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the LogFormat to "JSON" and try again.`)
	}
	return l.LogGroup, nil
}
