package lambda

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// Bounds of Invoke in bytes. Source: Lambda API Reference, Invoke.
const (
	maxPayload       = 6_291_456
	maxClientContext = 3_583 // of base64
)

// invoke runs a function. The payload is checked to be JSON and forwarded as it is. A client that goes away does not
// stop the function. Not here: InvocationType Event, tenants, durable executions.
func (h *Handler) invoke(c *call) error {
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	header := c.r.Header
	kind, err := invocationType(header)
	if err != nil {
		return err
	}
	clientContext, err := clientContext(header.Get("X-Amz-Client-Context"))
	if err != nil {
		return err
	}
	payload, err := c.body(maxPayload, "InvokeFunction")
	if err != nil {
		return err
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if err := checkPayload(payload); err != nil {
		return err
	}
	missing := function.NotFound(ref, ":"+cmp.Or(qualifier, function.Latest))
	if _, ok := h.functions.Find(ref, qualifier); !ok {
		return missing
	}
	if kind == "DryRun" {
		return c.empty()
	}
	trace := header.Get("X-Amzn-Trace-Id")
	if trace == "" {
		trace = function.NewTraceID()
	}
	res := h.functions.Invoke(context.WithoutCancel(c.ctx), function.Invocation{
		Ref: ref, Qualifier: qualifier, RequestID: c.caller.RequestID, Payload: payload, ClientContext: clientContext,
		Tail: header.Get("X-Amz-Log-Type") == "Tail", TraceID: trace,
	})
	if res.Class == function.ConfigError && res.StatusCode == http.StatusNotFound {
		return missing // deleted meanwhile
	}
	return h.answerInvoke(c, ref, res, trace)
}

func invocationType(header http.Header) (string, error) {
	var v fault.Violations
	kind := header.Get("X-Amz-Invocation-Type")
	switch kind {
	case "", "RequestResponse", "DryRun", "Event":
	default:
		v.Add("invocationType", clip(kind), "Member must satisfy enum value set: [Event, RequestResponse, DryRun]")
	}
	switch s := header.Get("X-Amz-Log-Type"); s {
	case "", "None", "Tail":
	default:
		v.Add("logType", clip(s), "Member must satisfy enum value set: [None, Tail]")
	}
	if err := v.Err(); err != nil {
		return "", err
	}
	switch {
	case kind == "Event":
		return "", absent.Operation("Invoke with InvocationType Event")
	case header.Get("X-Amz-Tenant-Id") != "":
		return "", unsupported("TenantId")
	case header.Get("X-Amz-Durable-Execution-Name") != "":
		return "", unsupported("DurableExecutionName")
	}
	return kind, nil
}

func clientContext(encoded string) (string, error) {
	if encoded == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	var object map[string]json.RawMessage
	if err != nil || len(encoded) > maxClientContext || json.Unmarshal(b, &object) != nil {
		return "", fault.New(
			fault.CodeInvalidRequestContent,
			"Client context must be a valid Base64-encoded JSON object of at most %d bytes.", maxClientContext,
		)
	}
	return string(b), nil
}

// checkPayload refuses what is not JSON in UTF-8.
func checkPayload(b []byte) error {
	const prefix = "Could not parse request body into json: Could not parse payload into json: "
	if !utf8.Valid(b) {
		return fault.New(fault.CodeInvalidRequestContent, "%sInvalid UTF-8", prefix)
	}
	if json.Valid(b) {
		return nil
	}
	var v json.RawMessage
	return fault.New(fault.CodeInvalidRequestContent, "%s%v", prefix, json.Unmarshal(b, &v))
}

// answerInvoke renders what became of an invocation.
func (h *Handler) answerInvoke(c *call, ref function.Ref, res function.Result, trace string) error {
	c.hint(res.Hint)
	switch res.Class {
	case function.Success, function.FunctionError:
	case function.NotAdmitted:
		if res.StatusCode == http.StatusConflict {
			return fault.New(fault.CodeConflict, "%s", res.Detail)
		}
		f := fault.New(fault.CodeTooManyRequests, "%s", res.Detail)
		f.Reason, f.Hint = res.Reason, res.Hint
		return f
	case function.ConfigError:
		return fault.New(fault.CodeInvalidRuntime, "%s", res.Detail)
	case function.PlatformError:
		h.log.Error(
			"invoke", "function", ref.ARN(), "request_id", c.caller.RequestID, "reason", res.Reason, "error",
			res.Detail,
		)
		return fault.New(fault.CodeService, "The function could not be run: %s.", strings.TrimSuffix(res.Detail, "."))
	}
	header := c.w.Header()
	header.Set("X-Amz-Executed-Version", res.ExecutedVersion)
	if res.ErrorKind != "" {
		header.Set("X-Amz-Function-Error", res.ErrorKind)
	}
	if res.LogTail != nil {
		header.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(res.LogTail))
	}
	header.Set("X-Amzn-Trace-Id", trace)
	wire.WriteBytes(c.w, http.StatusOK, "application/json", res.Payload)
	return nil
}
