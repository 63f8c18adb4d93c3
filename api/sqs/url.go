package sqs

import (
	"context"
	"errors"
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

// queue returns the queue that the parameter QueueUrl means, if the caller may do with it what the request asks.
func (h *Handler) queue(ctx context.Context, c wire.Caller, p params) (queue.Name, error) {
	name, err := p.named(c)
	if err != nil {
		return name, err
	}
	return name, h.authorize(ctx, c, name)
}

// authorize judges whether the caller may do with a queue what the request asks.
func (h *Handler) authorize(ctx context.Context, c wire.Caller, name queue.Name) error {
	err := h.queues.Authorize(ctx, c.Principal(), name, c.Operation())
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.CodeAccessDenied {
		return f.WithStatus(http.StatusForbidden)
	}
	return err
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
			return queue.Name{Account: account, Region: c.Region, Name: name}, nil
		}
	}
	return queue.Name{}, fault.New(
		codeInvalidAddress, "The address %s is not valid for this endpoint.", fault.Clip(raw, 200),
	)
}
