package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// invokeAnswer is what invoke prints with -o json.
type invokeAnswer struct {
	StatusCode      int
	ExecutedVersion string
	FunctionError   string          `json:",omitempty"`
	LogResult       string          `json:",omitempty"` // text
	Payload         json.RawMessage // the function's response
}

func newInvoke() *cobra.Command {
	var payload, log string
	var async bool
	c := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Invoke a function once and print what it answers",
		Long: `Invokes a function once and waits for its answer, which is printed to standard output. A function that fails makes the command exit with 6; what it
answered, the error, is printed all the same.`,
		Example: `  shardmill invoke orders-handler --payload '{"Records":[]}'
  shardmill invoke orders-handler --payload event.json --log tail
  shardmill invoke orders-handler --payload - < event.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "invoke takes one function; got %d arguments", len(args))
			}
			return nil
		},
	}
	conn, out := connectionFlags(c), outputFlag(c)
	c.Flags().StringVar(
		&payload, "payload", "", "JSON, the name of a file that holds it, or - for standard input (default: {})",
	)
	c.Flags().StringVar(
		&log, "log", "none", "tail: the last 4 KB that the invocation logged go to standard error; none",
	)
	c.Flags().BoolVar(&async, "async", false, "")
	_ = c.Flags().MarkHidden("async")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		switch {
		case err != nil:
			return err
		case async:
			return usage(c, "--async is not supported yet: invoke waits for the answer")
		case log != "tail" && log != "none":
			return usage(c, "--log is %q; it must be tail or none", log)
		}
		body, err := readPayload(c, payload)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		h := http.Header{"Content-Type": {"application/json"}}
		if log == "tail" {
			h.Set("X-Amz-Log-Type", "Tail")
		}
		resp, err := cl.send(
			c.Context(), "lambda", http.MethodPost, functionsPath+"/"+url.PathEscape(args[0])+"/invocations", h, body,
		)
		if err != nil {
			return explain(err)
		}
		defer func() { _ = resp.Body.Close() }() // read to its end
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return cl.unreachable(err)
		}
		return printInvocation(c, args[0], conn.flags(cl), resp, answer, js)
	}
	return c
}

// maxPayload is the largest payload of a synchronous invocation.
const maxPayload = 6 << 20

// readPayload returns JSON as it is, and takes anything else for the name of a file.
func readPayload(c *cobra.Command, payload string) (json.RawMessage, error) {
	var b []byte
	switch trimmed := strings.TrimSpace(payload); {
	case trimmed == "" && c.Flags().Changed("payload"):
		return nil, usage(c, "--payload is empty; leave it away for {}")
	case trimmed == "":
		b = []byte("{}")
	case trimmed == "-":
		var err error
		if b, err = io.ReadAll(io.LimitReader(standardInput(c, "the payload"), maxPayload+1)); err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
	case json.Valid([]byte(trimmed)):
		b = []byte(trimmed)
	case trimmed[0] == '{' || trimmed[0] == '[' || trimmed[0] == '"':
		return nil, usage(c, "--payload begins like JSON and is none: %v", json.Unmarshal([]byte(trimmed), new(any)))
	default:
		var err error
		if b, err = readBounded(payload, maxPayload); err != nil {
			return nil, &failure{
				code: exitUsage, text: "the payload cannot be read",
				hint: "--payload takes JSON, the name of a file, or - for standard input", err: err,
			}
		}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, &failure{code: exitUsage, text: "the payload is empty", hint: "leave --payload away for {}"}
	}
	if len(b) > maxPayload {
		return nil, &failure{
			code: exitUsage,
			text: fmt.Sprintf("the payload is larger than %d bytes, the most that a function takes", maxPayload),
		}
	}
	return b, nil
}

// printInvocation prints the result of an invocation, and fails if the function failed.
func printInvocation(c *cobra.Command, name, flags string, resp *http.Response, payload []byte, js bool) error {
	a := invokeAnswer{
		StatusCode: resp.StatusCode, ExecutedVersion: resp.Header.Get("X-Amz-Executed-Version"),
		FunctionError: resp.Header.Get("X-Amz-Function-Error"),
	}
	if tail, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result")); err == nil {
		a.LogResult = string(tail)
	}
	if hint := resp.Header.Get("X-Shardmill-Hint"); hint != "" {
		t := newTerminal(c.ErrOrStderr())
		t.printf("%s %s\n", t.dim("hint:"), hint)
	}
	if js {
		if a.Payload = payload; !json.Valid(payload) {
			quoted, err := json.Marshal(string(payload)) // functions may return anything
			if err != nil {
				return err
			}
			a.Payload = quoted
		}
		if err := printJSON(c.OutOrStdout(), a); err != nil {
			return err
		}
	} else {
		newTerminal(c.OutOrStdout()).printf("%s\n", payload)
		if a.LogResult != "" {
			newTerminal(c.ErrOrStderr()).printf("%s\n", strings.TrimRight(a.LogResult, "\n"))
		}
	}
	if a.FunctionError != "" {
		return &failure{
			code: exitFunction, text: fmt.Sprintf("the function %s failed (%s)", name, a.FunctionError),
			hint: "what it logged: shardmill logs " + name + flags,
		}
	}
	return nil
}
