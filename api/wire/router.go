package wire

import (
	"bufio"
	"cmp"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Service is one AWS service behind the shared port. Its handler finds the Caller with CallerOf.
type Service struct {
	Name    string       // as in a credential scope, for example kinesis
	Target  string       // prefix of X-Amz-Target before the dot; "" when the service has none
	Paths   []string     // path prefixes that belong to it alone, for example /2015-03-31/
	Handler http.Handler // never sees a request that Router refused
}

// Router is the handler of the shared port.
type Router struct {
	Services []Service
	Fallback http.Handler // what no rule claims: Kinesis' order of checks
	Control  http.Handler // /_shardmill/*, behind its own checks
	Keys     Keys
	Unknown  http.Handler                // refuses a service that we do not have; the Caller's Service names it. See NotHere
	Hinted   func(c Caller, hint string) // told of each advice that an answer carries, for people who see no headers; must not block. May be nil
}

// ControlPrefix is where our own API lives.
const ControlPrefix = "/_shardmill/"

// ServeHTTP refuses what browsers may not do, finds out who calls, and hands over to the service.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !LocalHost(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "shardmill answers only to its own address; the Host header says "+strconv.Quote(clip(r.Host))+". Use 127.0.0.1 or localhost.")
		return
	}
	if strings.HasPrefix(r.URL.Path, ControlPrefix) {
		rt.Control.ServeHTTP(w, r)
		return
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		refuse(w, http.StatusForbidden, "shardmill refuses requests from web pages (this one carries an Origin or Sec-Fetch-Site header).")
		return
	}
	c := ReadCaller(r, rt.Keys)
	s, unknown := rt.pick(r, c)
	h := rt.Fallback
	switch {
	case unknown != "":
		h, c.Service = rt.Unknown, unknown
	case s == nil:
	case s.Name == "kinesis" || ValidRegion(c.Region): // Kinesis has its own order of checks
		h = s.Handler
	default:
		SetIDs(w.Header(), c)
		w.Header().Set("X-Amzn-Errortype", "InvalidSignatureException")
		refuse(w, http.StatusForbidden, "Credential should be scoped to a valid region.")
		return
	}
	h.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), c)))
	if hint := w.Header().Get(HintHeader); hint != "" && rt.Hinted != nil {
		rt.Hinted(c, hint)
	}
}

// pick applies the selection rules, first match wins. unknown names what was meant, where that is not here; with neither no rule applies.
func (rt *Router) pick(r *http.Request, c Caller) (s *Service, unknown string) {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/service/"); ok && r.Header.Get("Smithy-Protocol") != "" {
		shape, _, _ := strings.Cut(rest, "/")
		return rt.named(cmp.Or(targets[shape], shape, "unknown"))
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		prefix, _, _ := strings.Cut(target, ".")
		for i := range rt.Services {
			if rt.Services[i].Target == prefix {
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
		return nil, "s3"
	}
	return nil, ""
}

// named is the service with a name, or the answer that it is not here.
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
	"AmazonSSM": "ssm", "secretsmanager": "secretsmanager", "TrentService": "kms", "Firehose_20150804": "firehose", "AWSStepFunctions": "states",
	"Kinesis_20131202": "kinesis",
}

// versions are the API versions by which clients of the query protocol name a service.
var versions = map[string]string{
	"2012-11-05": "sqs", "2010-03-31": "sns", "2011-06-15": "sts", "2010-05-08": "iam", "2010-08-01": "monitoring", "2010-05-15": "cloudformation",
}

// formPeek is how much of a form is read to find its Action and Version; clients write them first.
const formPeek = 4 << 10

// formOf is Action and Version of a request in the query protocol, in its URL or at the beginning of its body, which stays to be read.
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

// peeked is a body of which a part lies in a buffer.
type peeked struct {
	io.Reader
	io.Closer
}

// queuePath recognises the path of a queue's URL, /account/name.
func queuePath(path string) bool {
	account, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return ok && isAccount(account) && name != "" && !strings.Contains(name, "/")
}

// LocalHost reports whether a Host header names this machine's loopback, so that a page that rebinds its own name to 127.0.0.1 gets nowhere.
func LocalHost(host string) bool {
	if port, ok := strings.CutPrefix(host, "127.0.0.1:"); ok && isPort(port) { // what nearly everybody sends
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		name = host[1 : len(host)-1]
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func refuse(w http.ResponseWriter, status int, text string) {
	WriteJSON(w, status, "application/json", map[string]string{"message": text})
}

// clip cuts a caller's text to what one reads.
func clip(s string) string { return fault.Clip(s, 100) }
