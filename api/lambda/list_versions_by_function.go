package lambda

import (
	"net/http"
	"slices"

	"github.com/shardmill/shardmill/function"
)

type listVersionsResponse struct {
	Versions   []*configuration
	NextMarker string `json:",omitempty"`
}

// listVersionsByFunction lists $LATEST and then the published versions, ascending: clients take the last one for the
// newest.
func (h *Handler) listVersionsByFunction(c *call) error {
	ref, err := c.whole()
	if err != nil {
		return err
	}
	n, after, err := c.page()
	if err != nil {
		return err
	}
	all, err := h.functions.Versions(ref)
	if err != nil {
		return err
	}
	if after != "" {
		at := slices.IndexFunc(all, func(conf *function.Configuration) bool {
			return function.CompareVersions(conf.Version, after) > 0
		})
		if at < 0 {
			at = len(all)
		}
		all = all[at:]
	}
	out := listVersionsResponse{Versions: []*configuration{}}
	for i, conf := range all {
		if i == n {
			out.NextMarker = marker(all[i-1].Version)
			break
		}
		out.Versions = append(out.Versions, listed(conf, conf.Version))
	}
	return c.json(http.StatusOK, out)
}
