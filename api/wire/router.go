package wire

import (
	"net"
	"net/http"
	"strings"
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
	Unknown  http.Handler // names a service that we do not have, with 501
}

// ControlPrefix is where our own API lives.
const ControlPrefix = "/_shardmill/"

// ServeHTTP refuses what browsers may not do, finds out who calls, and hands over to the service.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !LocalHost(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "shardmill answers only to its own address; the Host header says "+strconvQuote(r.Host)+". Use 127.0.0.1 or localhost.")
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
	r = r.WithContext(WithCaller(r.Context(), c))
	rt.pick(r, c).ServeHTTP(w, r)
}

// pick applies the selection rules, first match wins.
func (rt *Router) pick(r *http.Request, c Caller) http.Handler {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		prefix, _, _ := strings.Cut(target, ".")
		for i := range rt.Services {
			if rt.Services[i].Target == prefix {
				return rt.Services[i].Handler
			}
		}
		if knownElsewhere[prefix] != "" {
			return rt.Unknown
		}
		return rt.Fallback
	}
	path := r.URL.EscapedPath()
	for i := range rt.Services {
		for _, p := range rt.Services[i].Paths {
			if strings.HasPrefix(path, p) {
				return rt.Services[i].Handler
			}
		}
	}
	if strings.HasPrefix(path, "/service/") && r.Header.Get("Smithy-Protocol") != "" {
		return rt.Unknown
	}
	if c.Service != "" && c.Service != "kinesis" {
		for i := range rt.Services {
			if rt.Services[i].Name == c.Service {
				return rt.Services[i].Handler
			}
		}
		return rt.Unknown
	}
	if c.Service == "" && path != "/" && path != "" && r.Method != http.MethodOptions {
		return rt.Unknown // the place of S3, which is not here
	}
	return rt.Fallback
}

// knownElsewhere names the AWS services whose targets we recognise but do not serve.
var knownElsewhere = map[string]string{
	"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "dynamodbstreams", "Logs_20140328": "logs",
	"GraniteServiceVersion20100801": "monitoring", "AWSEvents": "events", "AmazonSQS": "sqs", "AWSLambda": "lambda",
	"AmazonSSM": "ssm", "secretsmanager": "secretsmanager", "TrentService": "kms", "Firehose_20150804": "firehose", "AWSStepFunctions": "states",
}

// ServiceOf names the AWS service that a request means, as well as can be told.
func ServiceOf(r *http.Request) string {
	if prefix, _, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok && knownElsewhere[prefix] != "" {
		return knownElsewhere[prefix]
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/service/"); ok {
		shape, _, _ := strings.Cut(rest, "/")
		if s := knownElsewhere[shape]; s != "" {
			return s
		}
		return shape
	}
	if c := CallerOf(r.Context()); c.Service != "" {
		return c.Service
	}
	return "s3"
}

// LocalHost reports whether a Host header names this machine's loopback, so that a page that rebinds its own name to 127.0.0.1 gets nowhere.
func LocalHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func refuse(w http.ResponseWriter, status int, text string) {
	WriteJSON(w, status, "application/json", map[string]string{"message": text})
}

func strconvQuote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return `"` + s + `"`
}
