package sqs

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// queueURL returns where a caller reaches a queue: the address by which it reached us, account, name.
func queueURL(c wire.Caller, account, name string) string {
	return c.Endpoint + "/" + account + "/" + name
}

// foreign refuses a queue of another account: queues have no policies here, so nothing could admit the caller. Whether
// there is such a queue is not told.
func foreign(address string) error {
	return &fault.Error{
		Code: fault.CodeAccessDenied, Status: http.StatusForbidden,
		Message: "Access to the resource " + fault.Clip(address, 200) + " is denied.",
	}
}

// named returns the queue that the parameter QueueUrl means. Only its path /<account>/<name> counts: a URL stays valid
// whatever host and port the server is reached by. The region is the caller's.
func (p params) named(c wire.Caller) (queue.Name, error) {
	raw, err := p.text("QueueUrl")
	if err != nil {
		return queue.Name{}, err
	}
	if u, err := url.Parse(raw); err == nil && u.RawQuery == "" && u.Fragment == "" {
		account, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		if ok && arn.IsAccount(account) && name != "" && !strings.Contains(name, "/") {
			if account != c.Account {
				return queue.Name{}, foreign(raw)
			}
			return queue.Name{Account: account, Region: c.Region, Name: name}, nil
		}
	}
	return queue.Name{}, fault.New(
		codeInvalidAddress, "The address %s is not valid for this endpoint.", fault.Clip(raw, 200),
	)
}
