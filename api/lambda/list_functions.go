package lambda

import (
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// pageSize is the most that one page holds, whatever MaxItems says.
const pageSize = 50

type listFunctionsResponse struct {
	Functions  []*configuration
	NextMarker string `json:",omitempty"`
}

// listFunctions lists by name. With FunctionVersion=ALL all versions are shown, with their qualified ARNs.
func (h *Handler) listFunctions(c *call) error {
	query := c.r.URL.Query()
	var v fault.Violations
	n, after, err := c.pageOf(&v)
	if err != nil {
		return err
	}
	all := false
	switch s := query.Get("FunctionVersion"); s {
	case "":
	case "ALL":
		all = true
	default:
		v.Add("functionVersion", clip(s), "Member must satisfy enum value set: [ALL]")
	}
	if err := v.Err(); err != nil {
		return err
	}
	if query.Get("MasterRegion") != "" {
		return unsupported("MasterRegion")
	}
	var page []*function.Configuration
	var more bool
	if all {
		name, version, _ := strings.Cut(after, ":")
		page, more = h.functions.ListAll(c.caller.Account, c.caller.Region, name, version, n)
	} else {
		page, more = h.functions.List(c.caller.Account, c.caller.Region, after, n)
	}
	out := listFunctionsResponse{Functions: make([]*configuration, len(page))}
	for i, conf := range page {
		qualifier := ""
		if all {
			qualifier = conf.Version
		}
		out.Functions[i] = listed(conf, qualifier)
	}
	if more {
		last := page[len(page)-1]
		out.NextMarker = last.Ref.Name
		if all {
			out.NextMarker += ":" + last.Version
		}
		out.NextMarker = marker(out.NextMarker)
	}
	return c.json(http.StatusOK, out)
}
