package function

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// awsDomain is the end of the name of each of AWS's endpoints.
var awsDomain = []byte("amazonaws.com")

// awsHost finds the endpoint of a service in a text: a host with a region, or an address. Names of services in
// policies, such as lambda.amazonaws.com, are none.
var awsHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`(?i)(?:https?://(?:[a-z0-9-]+\.)+|(?:[a-z0-9-]+\.)*[a-z]{2}(?:-[a-z]+)+-\d+\.)amazonaws\.com(?:\.cn)?`,
	)
})

// mayLeave reports whether a call of AWS would be a surprise: the endpoint that the function was given is ours.
func (e *environment) mayLeave() bool {
	if e.f.opt.Endpoint() == "" {
		return false
	}
	for name := range e.g.conf.Environment {
		if strings.HasPrefix(name, "AWS_ENDPOINT_URL") || name == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" {
			return false
		}
	}
	return true
}

// leaves looks for a call that went to AWS in a line of the log or in an error document, and returns advice on the
// first that it finds. The customer means what the function's own variables name.
func (e *environment) leaves(text []byte) string {
	if !bytes.Contains(text, awsDomain) {
		return ""
	}
	host := string(awsHost().Find(text))
	if host == "" {
		return ""
	}
	_, bare, ok := strings.Cut(host, "://")
	if !ok {
		bare = host
	}
	for _, value := range e.g.conf.Environment {
		if strings.Contains(value, bare) {
			return ""
		}
	}
	return "The function names " + bare +
		": its calls may leave this machine for AWS. AWS_ENDPOINT_URL leads here, and these SDKs do not know it: Go v1, and Go v2 before" +
		" November 2023 (config v1.21.0); Java v1; JavaScript v2; botocore before 1.31 (boto3 before 1.28). Update the SDK, or give its clients the value of AWS_ENDPOINT_URL as their endpoint."
}

// leavesFirst is advice on an error document, if it is the first of the function.
func (e *environment) leavesFirst(document []byte) string {
	if len(document) == 0 || e.g.left.Load() || !e.mayLeave() {
		return ""
	}
	hint := e.leaves(document)
	if hint == "" || e.g.left.Swap(true) {
		return ""
	}
	return hint
}

// watchLine looks at a line that the function printed, until there is nothing more to say. The output's lock is held.
func (e *environment) watchLine(line []byte) (over bool) {
	hint := e.leaves(line)
	if hint == "" {
		return false
	}
	if !e.g.left.Swap(true) {
		e.g.pending.Store(&hint)
		e.f.work.Go(func() { e.g.advise(hint) }) // the log may block
	}
	return true
}

// hint is advice that no result has carried yet, or "".
func (g *generation) hint() string {
	if g.pending.Load() == nil {
		return ""
	}
	if hint := g.pending.Swap(nil); hint != nil {
		return *hint
	}
	return ""
}
