package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
)

type getFunctionResponse struct {
	Configuration *configuration
	Code          codeLocation
	Tags          map[string]string `json:",omitempty"`
	Concurrency   *concurrency      `json:",omitempty"`
}

type codeLocation struct{ RepositoryType, Location string }

type concurrency struct {
	ReservedConcurrentExecutions int
}

// getFunction shows a function and where its package can be fetched for ten minutes. Concurrency is left out when a
// qualifier was given, as on AWS.
func (h *Handler) getFunction(c *call) error {
	conf, qualifier, err := h.find(c)
	if err != nil {
		return err
	}
	out := getFunctionResponse{
		Configuration: render(conf, qualifier), Code: codeLocation{"S3", h.packageURL(c, conf)},
	}
	if whole, ok := h.functions.Lookup(conf.Ref); ok {
		out.Tags = whole.Tags // they are the function's, whatever the qualifier
	}
	if conf.Reserved != nil && qualifier == "" {
		out.Concurrency = &concurrency{*conf.Reserved}
	}
	return c.json(http.StatusOK, out)
}

// find looks up the version that the path and the qualifier name.
func (h *Handler) find(c *call) (*function.Configuration, string, error) {
	ref, qualifier, err := c.name()
	if err != nil {
		return nil, "", err
	}
	conf, ok := h.functions.Find(ref, qualifier)
	if !ok {
		suffix := ""
		if qualifier != "" {
			suffix = ":" + qualifier
		}
		return nil, "", function.NotFound(ref, suffix)
	}
	c.hint(conf.Hint)
	return conf, qualifier, nil
}
