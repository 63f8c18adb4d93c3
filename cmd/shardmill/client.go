package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/sigv4"
	"github.com/shardmill/shardmill/server"
)

// client talks to a running server: over the AWS APIs like any client, and over the control API with the server's
// token.
type client struct {
	endpoint string // for people; see at
	at       remote
	account  string // twelve digits
	region   string
	data     string // directory of the server, which holds its token; "": the token is found by the endpoint
	http     *http.Client

	given sigv4.Key // with which requests are signed; zero: that of the account
	own   *ownSecret
}

// connection holds the flags with which a client command finds the server.
type connection struct{ endpoint, account, region, data string }

func connectionFlags(c *cobra.Command) *connection {
	f := &connection{}
	c.Flags().StringVar(
		&f.endpoint, "endpoint", "", "the server's address (default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566)",
	)
	c.Flags().StringVar(
		&f.account, "account", "",
		"account id, twelve digits (default: $AWS_ACCESS_KEY_ID if it is one, else "+wire.DefaultAccount+")",
	)
	c.Flags().StringVar(&f.region, "region", "", "region (default: $AWS_REGION, $AWS_DEFAULT_REGION, else us-east-1)")
	return f
}

// controlFlags adds connectionFlags to a command that also needs the server's token.
func controlFlags(c *cobra.Command) *connection {
	f := connectionFlags(c)
	c.Flags().StringVar(
		&f.data, "data", "",
		"the server's directory, where its token lies (default: $SHARDMILL_TOKEN is the token, else it is looked for in the place of this user)",
	)
	return f
}

func (f *connection) client() (*client, error) {
	to, err := parseRemote(
		first(f.endpoint, os.Getenv("AWS_ENDPOINT_URL"), fmt.Sprintf("http://127.0.0.1:%d", server.DefaultPort)),
	)
	if err != nil {
		return nil, err
	}
	transport, err := to.transport()
	if err != nil {
		return nil, err
	}
	region, err := regionOf(f.region)
	if err != nil {
		return nil, err
	}
	account := first(f.account, wire.DefaultAccount)
	// as for the AWS CLI in the same shell
	if key := os.Getenv("AWS_ACCESS_KEY_ID"); f.account == "" && arn.IsAccount(key) {
		account = key
	}
	if !arn.IsAccount(account) {
		return nil, &failure{
			code: exitUsage, text: fmt.Sprintf("the account %q does not have twelve digits", f.account),
			hint: "leave --account away for 000000000000",
		}
	}
	cl := &client{
		endpoint: to.text, at: to, account: account, region: region, data: f.data, own: &ownSecret{},
		http: &http.Client{Transport: transport},
	}
	if f.account == "" {
		cl.given = keyFromEnvironment()
	}
	return cl, nil
}

// regionOf returns the region of the flag, else of the environment.
func regionOf(flag string) (string, error) {
	region := first(flag, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), wire.DefaultRegion)
	if !wire.ValidRegion(region) {
		return "", &failure{
			code: exitUsage, text: fmt.Sprintf("the region %q is not a name such as us-east-1", region),
			hint: "it comes from --region, $AWS_REGION or $AWS_DEFAULT_REGION",
		}
	}
	return region, nil
}

// whereFlags returns the flags that name an account and a region, as far as needed, each after a space.
func whereFlags(account, region string) string {
	s := ""
	if account != wire.DefaultAccount {
		s += " --account " + account
	}
	if region != wire.DefaultRegion {
		s += " --region " + region
	}
	return s
}

// flags returns the flags with which another client command finds the same server, account and region, each after a
// space.
func (f *connection) flags(c *client) string {
	if f.endpoint == "" {
		return whereFlags(c.account, c.region)
	}
	return " --endpoint " + c.endpoint + whereFlags(c.account, c.region)
}

// newClient returns a client of the server at http://host:port.
func newClient(address, account, region string) *client {
	return &client{
		endpoint: address, at: remote{address, address, strings.TrimPrefix(address, "http://"), ""},
		account: account, region: region, own: &ownSecret{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// apiError is an error that the server answered.
type apiError struct {
	status        int
	code, message string
	hint          string
}

func (e *apiError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("%s (HTTP %d)", first(e.code, "the server answered"), e.status)
	}
	if e.code == "" {
		return e.message // of the control API, whose errors have no code
	}
	return e.code + ": " + e.message
}

// json calls an AWS JSON operation, for example Kinesis_20131202.PutRecord. out may be nil.
func (c *client) json(ctx context.Context, service, version, target string, in, out any) error {
	h := http.Header{"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-" + version}}
	return c.do(ctx, service, http.MethodPost, "/", h, in, out)
}

func (c *client) kinesis(ctx context.Context, operation string, in, out any) error {
	return c.json(ctx, "kinesis", "1.1", "Kinesis_20131202."+operation, in, out)
}

func (c *client) sqs(ctx context.Context, operation string, in, out any) error {
	return c.json(ctx, "sqs", "1.0", "AmazonSQS."+operation, in, out)
}

func (c *client) dynamodb(ctx context.Context, operation string, in, out any) error {
	return c.json(ctx, "dynamodb", "1.0", "DynamoDB_20120810."+operation, in, out)
}

func (c *client) lambda(ctx context.Context, method, path string, in, out any) error {
	return c.do(ctx, "lambda", method, path, http.Header{"Content-Type": {"application/json"}}, in, out)
}

// control calls the control API.
func (c *client) control(ctx context.Context, method, path string, in, out any) error {
	service, h, err := c.controller()
	if err != nil {
		return err
	}
	return c.do(ctx, service, method, path, h, in, out)
}

func (c *client) do(ctx context.Context, service, method, path string, h http.Header, in, out any) error {
	resp, err := c.send(ctx, service, method, path, h, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.unreachable(err)
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: the answer does not parse; is %s a shardmill? (%w)", method, path, c.endpoint, err)
	}
	return nil
}

// send returns the response of a successful request; the caller closes its body. in is sent as JSON; a json.RawMessage
// is sent as it is, JSON or not.
func (c *client) send(
	ctx context.Context, service, method, path string, h http.Header, in any,
) (*http.Response, error) {
	var body []byte
	switch in := in.(type) {
	case nil:
	case json.RawMessage:
		body = in
	default:
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.at.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = h
	if service != "" {
		sigv4.Sign(req, sigv4.Digest(body), c.signer(), sigv4.Scope{Region: c.region, Service: service}, time.Now())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Capital string `json:"Message"`
	}
	_ = json.Unmarshal(raw, &e) // an answer that is not JSON has no message
	code := first(e.Type, resp.Header.Get("X-Amzn-Errortype"))
	if _, after, ok := strings.Cut(code, "#"); ok {
		code = after
	}
	return nil, &apiError{resp.StatusCode, code, first(e.Message, e.Capital), resp.Header.Get("X-Shardmill-Hint")}
}

// unreachable explains the error of a request that got no answer.
func (c *client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var op *net.OpError
	hint := untrusted(err)
	if hint == "" && errors.As(err, &op) {
		hint = "start one with: shardmill dev   (or name another address with --endpoint)"
	}
	return &failure{code: exitUnreachable, text: "no shardmill answers at " + c.endpoint, hint: hint, err: err}
}

// token returns the server's token for the control API: from the directory that --data names, from the environment, or
// from the place where this user's servers write theirs.
func (c *client) token() (string, error) {
	given := os.Getenv("SHARDMILL_TOKEN")
	path := server.DataTokenFile(c.data)
	switch {
	case c.data != "":
	case given != "":
		return given, nil
	default:
		var err error
		if path, err = server.TokenFile(c.at.key); err != nil {
			return "", &failure{
				code: exitUnreachable, text: "there is no token for a server at " + c.endpoint, hint: tokenHint,
				err: err,
			}
		}
	}
	b, err := readBounded(path, 4096)
	switch {
	case errors.Is(err, os.ErrNotExist) && c.data != "":
		return "", &failure{
			code: exitUnreachable, text: "no server runs on " + c.data,
			hint: "start one with: shardmill serve --data " + shellWord(c.data),
		}
	case errors.Is(err, os.ErrNotExist):
		return "", &failure{
			code: exitUnreachable,
			text: fmt.Sprintf("there is no token for a server at %s (%s)", c.endpoint, filepath.Base(path)),
			hint: tokenHint,
		}
	case err != nil:
		return "", fmt.Errorf("reading the server's token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

const tokenHint = "is it running, and started by this user? Start one with: shardmill dev"

// explain turns an API error into a failure with its hint.
func explain(err error) error {
	var e *apiError
	if errors.As(err, &e) {
		return &failure{text: e.Error(), hint: e.hint}
	}
	return err
}
