package lambda

import (
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// pageSize is the most that one page holds, whatever MaxItems says.
const pageSize = 50

type listFunctionsResponse struct {
	Functions  []*configuration
	NextMarker string `json:",omitempty"`
}

// listFunctions lists by name. With FunctionVersion=ALL each function's one version is shown, with its qualified ARN.
func (h *Handler) listFunctions(c *call) error {
	query := c.r.URL.Query()
	var v fault.Violations
	n := pageSize
	if s := query.Get("MaxItems"); s != "" {
		items, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fault.New(fault.CodeInvalidParameter, "MaxItems must be a number; got %s.", clip(s))
		}
		v.Range("maxItems", items, 1, 10000)
		n = min(n, int(items))
	}
	qualifier := ""
	switch s := query.Get("FunctionVersion"); s {
	case "":
	case "ALL":
		qualifier = function.Latest
	default:
		v.Add("functionVersion", clip(s), "Member must satisfy enum value set: [ALL]")
	}
	if err := v.Err(); err != nil {
		return err
	}
	if query.Get("MasterRegion") != "" {
		return unsupported("MasterRegion")
	}
	after := ""
	if marker := query.Get("Marker"); marker != "" {
		b, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil {
			return fault.New(
				fault.CodeInvalidParameter, "The marker %s is not one that ListFunctions gave.", clip(marker),
			)
		}
		after = string(b)
	}
	page, more := h.functions.List(c.caller.Account, c.caller.Region, after, n)
	out := listFunctionsResponse{Functions: make([]*configuration, len(page))}
	for i, conf := range page {
		out.Functions[i] = listed(conf, qualifier)
	}
	if more {
		out.NextMarker = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].Ref.Name))
	}
	return c.json(http.StatusOK, out)
}
