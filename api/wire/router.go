package wire

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Router is the handler of the shared port. Which services there are, how requests name them and what a request must
// carry is one table.
type Router struct {
	Services []Service
	Fallback Service      // what no rule claims: Kinesis' order of checks. It does nothing without X-Amz-Target
	Control  http.Handler // /_shardmill/*, behind its own checks
	Keys     Keys
	Acts     func(accessKey string) string // the ARN as which a key that we issued acts; nil: no role
	Gate     *Gate                         // lets in who can prove who it is; nil: signatures are not verified
	// refuses a service that we do not have; the Caller's Service names it. See NotHere
	Unknown http.Handler
	// called for each hint in an answer, for people who see no headers; must not block. May be nil
	Hinted func(c Caller, hint string)
	Hosts  *Hosts       // the names by which clients may call; nil: those of loopback
	Open   bool         // other machines reach the server, and nobody verifies who calls
	Intake *Intake      // bounds what requests hold; nil: nothing does
	Log    *slog.Logger // of panics; nil: silent
}

// ControlPrefix is where our own API lives.
const ControlPrefix = "/_shardmill/"

// ServeHTTP refuses what browsers may not do, determines the caller, and hands over to the service.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, hosts: rt.Hosts}
	// a copy: net/http keeps the original, with its body
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, x))
	defer rt.end(x, r)
	rt.Intake.begin(x, r)
	if r.Body != nil {
		r.Body = &x.body
	}
	switch {
	case !rt.Hosts.Accepts(r.Host):
		rt.turnAway(x, r, http.StatusMisdirectedRequest, codeMisdirected, notOurs(r.Host))
	case rt.Open && fromBrowser(r): // of the other checks none is left that a browser could not pass
		rt.turnAway(x, r, http.StatusForbidden, fault.CodeAccessDenied,
			"shardmill runs with --auth off and can be reached from other machines, so it refuses every request of a browser.")
	case strings.HasPrefix(r.URL.Path, ControlPrefix):
		rt.Control.ServeHTTP(x, r)
	case FromPage(r):
		if rt.servePage(x, r) {
			return
		}
		rt.turnAway(
			x, r, http.StatusForbidden, fault.CodeAccessDenied,
			"shardmill refuses requests from web pages (this one carries an Origin or Sec-Fetch-Site header).",
		)
	default:
		rt.serve(x, r)
	}
}

// actAs notes as whom a caller with a key that we issued acts.
func (rt *Router) actAs(c *Caller) {
	if c.Issued && rt.Acts != nil {
		c.acts = rt.Acts(c.AccessKey)
	}
}

// serve hands an exchange over to the service that it means, if the service admits it.
func (rt *Router) serve(x *exchange, r *http.Request) {
	x.caller, x.claims = readCaller(r, rt.Keys)
	if base := rt.Hosts.Advertised(); base != "" && !x.caller.Issued {
		x.caller.Endpoint = base
	}
	rt.actAs(&x.caller)
	s, unknown := rt.pick(x, r)
	if unknown != "" {
		x.caller.Service = unknown
		rt.Unknown.ServeHTTP(x, r)
		return
	}
	if s == nil {
		s = &rt.Fallback
	}
	x.service = s
	switch c := x.caller; {
	case x.body.why.Load() == int32(tooMany):
		s.refuse(x, r, c, x.body.refusal())
	case s.Name != "kinesis" && s != &rt.Fallback && !ValidRegion(c.Region): // Kinesis has its own order of checks
		s.refuse(x, r, c, s.misscoped(r))
	case !s.speaks(r):
		s.refuseEncoding(x, r)
	case rt.Gate != nil:
		rt.guarded(x, r)
	case !s.admits(r):
		s.refuse(x, r, c, unsigned(s))
	default:
		s.Handler.ServeHTTP(x, r)
	}
	if hint := x.Header().Get(HintHeader); hint != "" && rt.Hinted != nil {
		rt.Hinted(x.caller, hint)
	}
}

// codeMisdirected is the code of a request to a name that is not ours; AWS has none, as no request comes so far there.
const codeMisdirected = "MisdirectedRequest"

// turnAway refuses a request before it is routed, in the words of the service that it means: it may come from an SDK
// that calls us by another name, and whoever runs that must read why.
func (rt *Router) turnAway(x *exchange, r *http.Request, status int, code, text string) {
	if strings.HasPrefix(r.URL.Path, ControlPrefix) {
		WriteJSON(x, status, "application/json", map[string]string{"message": text})
		return
	}
	x.caller, x.claims = readCaller(r, rt.Keys)
	s, unknown := rt.pick(x, r)
	if unknown != "" {
		x.caller.Service = unknown
	}
	x.service = s
	s.refuse(x, r, x.caller, &fault.Error{Code: code, Status: status, Message: text})
}

// unsigned refuses what any page could have sent.
func unsigned(s *Service) *fault.Error {
	text := "Request is missing Authentication Token"
	if s.Needs == Signature {
		text = "Missing Authentication Token"
	}
	return &fault.Error{
		Code: s.codes().Unsigned, Status: http.StatusForbidden, Message: text,
		Hint: "shardmill serves what an AWS client sends, because any web page can send the rest; with curl add --aws-sigv4 aws:amz:" +
			DefaultRegion + ":" + s.Name + " --user " + DefaultAccount + ":any",
	}
}

// pick applies the selection rules; the first match wins. unknown names a service that is not served here; without
// either no rule applies.
func (rt *Router) pick(x *exchange, r *http.Request) (s *Service, unknown string) {
	c := x.caller
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/service/"); ok && r.Header.Get("Smithy-Protocol") != "" {
		shape, _, _ := strings.Cut(rest, "/")
		return rt.named(cmp.Or(targets[shape], shape, "unknown"))
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		prefix, _, _ := strings.Cut(target, ".")
		for i := range rt.Services {
			if prefix != "" && rt.Services[i].Target == prefix {
				return &rt.Services[i], ""
			}
		}
		if targets[prefix] != "" {
			return nil, targets[prefix]
		}
		return nil, ""
	}
	for i := range rt.Services {
		for _, p := range rt.Services[i].Paths {
			if strings.HasPrefix(path, p) {
				return &rt.Services[i], ""
			}
		}
	}
	if action, version := formOf(r); action != "" {
		x.action = action
		if versions[version] != "" {
			return rt.named(versions[version])
		}
		if c.Service == "" && queuePath(path) {
			return rt.named("sqs")
		}
	}
	switch {
	case c.Service != "" && c.Service != "kinesis":
		return rt.named(c.Service)
	case c.Service == "" && path != "/" && path != "" && r.Method != http.MethodOptions:
		return rt.named("s3")
	}
	return nil, ""
}

// named returns the service with a name, or the answer that it is not here.
func (rt *Router) named(service string) (*Service, string) {
	for i := range rt.Services {
		if rt.Services[i].Name == service {
			return &rt.Services[i], ""
		}
	}
	return nil, service
}

// targets are the prefixes of X-Amz-Target by which we recognise services, served or not.
var targets = map[string]string{
	"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "dynamodbstreams", "Logs_20140328": "logs",
	"GraniteServiceVersion20100801": "monitoring", "AWSEvents": "events", "AmazonSQS": "sqs", "AWSLambda": "lambda",
	"AmazonSSM": "ssm", "secretsmanager": "secretsmanager", "TrentService": "kms", "Firehose_20150804": "firehose",
	"AWSStepFunctions": "states",
	"Kinesis_20131202": "kinesis",
}

// versions are the API versions by which clients of the query protocol name a service.
var versions = map[string]string{
	"2012-11-05": "sqs", "2010-03-31": "sns", "2011-06-15": "sts", "2010-05-08": "iam", "2010-08-01": "monitoring",
	"2010-05-15": "cloudformation",
}

// formPeek is how much of a form is read to find its Action and Version; clients write them first.
const formPeek = 4 << 10

// formOf is Action and Version of a request in the query protocol, in its URL or at the beginning of its body, which
// stays to be read.
func formOf(r *http.Request) (action, version string) {
	if strings.Contains(r.URL.RawQuery, "Action=") {
		q := r.URL.Query()
		return q.Get("Action"), q.Get("Version")
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" || r.Body == nil {
		return "", ""
	}
	peek := bufio.NewReaderSize(r.Body, formPeek)
	head, err := peek.Peek(formPeek)
	r.Body = peeked{peek, r.Body}
	text := string(head)
	if err == nil { // there is more: the last pair may be cut
		text = text[:max(0, strings.LastIndexByte(text, '&'))]
	}
	q, _ := url.ParseQuery(text) // what parses is enough
	return q.Get("Action"), q.Get("Version")
}

// peeked is a body of which a part is in a buffer.
type peeked struct {
	io.Reader
	io.Closer
}

// queuePath recognises the path of a queue's URL, /account/name.
func queuePath(path string) bool {
	account, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return ok && IsAccount(account) && name != "" && !strings.Contains(name, "/")
}

// LocalHost reports whether a Host header names this machine's loopback, so that a page that rebinds its own name to
// 127.0.0.1 gets nowhere. An address counts only in its usual spelling: browsers do not treat other spellings, such as
// [::ffff:127.0.0.1], as trustworthy origins, and then say less about the sending page.
func LocalHost(host string) bool {
	if port, ok := strings.CutPrefix(host, "127.0.0.1:"); ok && isPort(port) { // what nearly every client sends
		return true
	}
	if rest, ok := strings.CutPrefix(host, "["); ok {
		address, port, closed := strings.Cut(rest, "]")
		ip, err := netip.ParseAddr(address)
		return closed && err == nil && ip == netip.IPv6Loopback() &&
			(port == "" || isPort(strings.TrimPrefix(port, ":")) && strings.HasPrefix(port, ":"))
	}
	name, port, _ := strings.Cut(strings.ToLower(host), ":")
	switch ip, err := netip.ParseAddr(name); {
	case port != "" && !isPort(port):
		return false
	case err == nil:
		return ip.Is4() && ip.IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// clip cuts a caller's text to what one reads.
func clip(s string) string { return fault.Clip(s, 100) }
