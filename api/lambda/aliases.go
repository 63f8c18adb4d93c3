package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// This file holds the five operations on aliases.

type alias struct {
	AliasArn, Name, FunctionVersion, Description string
	RoutingConfig                                *routing `json:",omitempty"`
	RevisionId                                   string
}

type routing struct{ AdditionalVersionWeights map[string]float64 }

func showAlias(ref function.Ref, a function.Alias) alias {
	out := alias{
		AliasArn: ref.ARN() + ":" + a.Name, Name: a.Name, FunctionVersion: a.Version, Description: a.Description,
		RevisionId: a.RevisionID,
	}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &routing{a.Weights}
	}
	return out
}

type aliasRequest struct {
	Name, FunctionVersion, Description *string
	RoutingConfig                      *struct{ AdditionalVersionWeights map[string]*float64 }
	RevisionId                         string
}

// input turns the members of a request into what the room takes; a weight of null is refused by the model.
func (in *aliasRequest) input(ref function.Ref, name string) (function.AliasInput, error) {
	out := function.AliasInput{
		Ref: ref, Name: name, Version: in.FunctionVersion, Description: in.Description, RevisionID: in.RevisionId,
	}
	if in.RoutingConfig != nil {
		out.Weights = map[string]float64{}
		for version, weight := range in.RoutingConfig.AdditionalVersionWeights {
			if weight == nil {
				var v fault.Violations
				v.Add(
					"routingConfig.additionalVersionWeights", "{"+clip(version)+"=null}",
					"Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
				)
				return out, v.Err()
			}
			out.Weights[version] = *weight
		}
	}
	return out, nil
}

// createAlias answers 201 with the alias.
func (h *Handler) createAlias(c *call) error {
	var in aliasRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.whole()
	if err != nil {
		return err
	}
	var v fault.Violations
	if in.Name == nil {
		v.Null("name")
	}
	if in.FunctionVersion == nil {
		v.Null("functionVersion")
	}
	if err := v.Err(); err != nil {
		return err
	}
	input, err := in.input(ref, *in.Name)
	if err != nil {
		return err
	}
	a, err := h.functions.CreateAlias(c.ctx, input)
	if err != nil {
		return err
	}
	return c.json(http.StatusCreated, showAlias(ref, a))
}

// updateAlias answers the alias as it is now. Members that are absent stay as they are.
func (h *Handler) updateAlias(c *call) error {
	var in aliasRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.whole()
	if err != nil {
		return err
	}
	input, err := in.input(ref, c.params["Name"])
	if err != nil {
		return err
	}
	a, err := h.functions.UpdateAlias(c.ctx, input)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, showAlias(ref, a))
}

func (h *Handler) getAlias(c *call) error {
	ref, err := c.whole()
	if err != nil {
		return err
	}
	a, err := h.functions.Alias(ref, c.params["Name"])
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, showAlias(ref, a))
}

// deleteAlias answers 204, also for an alias that does not exist.
func (h *Handler) deleteAlias(c *call) error {
	ref, err := c.whole()
	if err != nil {
		return err
	}
	if err := h.functions.DeleteAlias(c.ctx, ref, c.params["Name"]); err != nil {
		return err
	}
	return c.empty()
}

type listAliasesResponse struct {
	Aliases    []alias
	NextMarker string `json:",omitempty"`
}

// listAliases lists by name; FunctionVersion leaves those that lead to a version.
func (h *Handler) listAliases(c *call) error {
	ref, err := c.whole()
	if err != nil {
		return err
	}
	n, after, err := c.page()
	if err != nil {
		return err
	}
	page, more, err := h.functions.Aliases(ref, c.r.URL.Query().Get("FunctionVersion"), after, n)
	if err != nil {
		return err
	}
	out := listAliasesResponse{Aliases: make([]alias, len(page))}
	for i, a := range page {
		out.Aliases[i] = showAlias(ref, a)
	}
	if more {
		out.NextMarker = marker(page[len(page)-1].Name)
	}
	return c.json(http.StatusOK, out)
}
