package lambda

import (
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/mapping"
)

// taggablePattern is the one that AWS's answers print. Ours differs in one point: an account id may have fewer than
// twelve digits, as in tutorials.
const taggablePattern = `arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:` +
	`(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|` +
	`code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-` +
	`[a-f0-9]{12}|capacity-provider:[a-zA-Z0-9-_]+)`

var taggableForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^` + strings.Replace(taggablePattern, `\d{12}`, `\d{1,12}`, 1) + `$`)
})

// tagged is what a tag operation is about.
type tagged interface {
	list(c *call) (map[string]string, error)
	change(c *call, more map[string]string, gone []string) error
}

// tagged finds the resource that the path names, by the kind that its ARN says. What has no tags here is refused by
// name. v holds what else violates the model, which comes first.
func (h *Handler) tagged(c *call, v *fault.Violations) (tagged, error) {
	text := c.params["Resource"]
	if !taggableForm().MatchString(text) {
		v.Add("resource", clip(text), "Member must satisfy regular expression pattern: "+taggablePattern)
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	a, _ := arn.Parse(text) // it has the form
	account, folded, _ := arn.FoldAccount(a.Account, c.caller.Account)
	if folded {
		c.hint("account " + a.Account + " in an ARN has fewer than 12 digits and was read as " + account)
	}
	foreign := account != c.caller.Account || a.Region != c.caller.Region
	kind, name, _ := strings.Cut(a.Resource, ":")
	switch kind {
	case "function":
		name, _, qualified := strings.Cut(name, ":")
		if qualified {
			return nil, fault.New(fault.CodeInvalidParameter,
				"Tags on function aliases and versions are not supported. Please specify a function ARN.")
		}
		ref := function.Ref{Account: account, Region: a.Region, Name: name}
		if foreign {
			return nil, function.NotFound(ref, "")
		}
		return taggedFunction{h.functions, ref}, nil
	case "event-source-mapping":
		if h.mappings == nil {
			return nil, absent.Operation(c.op)
		}
		if foreign {
			return nil, fault.New(fault.CodeNotFound, "Event source mapping not found: %s", text)
		}
		if err := h.mappings.permit(c.ctx, c.caller, name); err != nil {
			return nil, err
		}
		return taggedMapping{h.mappings.mappings, name}, nil
	}
	return nil, unsupported("tags of a " + kind)
}

type taggedFunction struct {
	functions *function.Functions
	ref       function.Ref
}

func (t taggedFunction) list(*call) (map[string]string, error) {
	conf, err := t.functions.Get(t.ref)
	if err != nil {
		return nil, err
	}
	return conf.Tags, nil
}

func (t taggedFunction) change(c *call, more map[string]string, gone []string) error {
	return t.functions.ChangeTags(c.ctx, t.ref, more, gone)
}

type taggedMapping struct {
	mappings *mapping.Mappings
	uuid     string
}

func (t taggedMapping) list(c *call) (map[string]string, error) {
	return t.mappings.Tags(c.ctx, mappingCaller(c.caller), t.uuid)
}

func (t taggedMapping) change(c *call, more map[string]string, gone []string) error {
	return t.mappings.ChangeTags(c.ctx, mappingCaller(c.caller), t.uuid, more, gone)
}

// listTags: GET /2017-03-31/tags/{ARN} → 200 with all tags, {} without any.
func (h *Handler) listTags(c *call) error {
	t, err := h.tagged(c, &fault.Violations{})
	if err != nil {
		return err
	}
	found, err := t.list(c)
	if err != nil {
		return err
	}
	if found == nil {
		found = map[string]string{}
	}
	return c.json(http.StatusOK, struct{ Tags map[string]string }{found})
}

// tagResource: POST /2017-03-31/tags/{ARN} → 204. Tags that exist get their new values.
func (h *Handler) tagResource(c *call) error {
	var in struct{ Tags map[string]string }
	if err := c.decode(&in); err != nil {
		return err
	}
	var v fault.Violations
	if in.Tags == nil {
		v.Null("tags")
	}
	tags.Check(&v, in.Tags)
	t, err := h.tagged(c, &v)
	if err != nil {
		return err
	}
	if len(in.Tags) == 0 { // in AWS's words, which do not say what is wrong
		return fault.New(fault.CodeInvalidParameter, "An error occurred and the request cannot be processed.").
			WithHint("the map of tags is empty; name at least one tag")
	}
	if err := t.change(c, in.Tags, nil); err != nil {
		return err
	}
	return c.empty()
}

// untagResource: DELETE /2017-03-31/tags/{ARN}?tagKeys=a&tagKeys=b → 204, also for keys that do not exist.
func (h *Handler) untagResource(c *call) error {
	keys := c.r.URL.Query()["tagKeys"]
	var v fault.Violations
	if len(keys) == 0 {
		v.Null("tagKeys")
	}
	tags.CheckKeys(&v, keys)
	t, err := h.tagged(c, &v)
	if err != nil {
		return err
	}
	if err := t.change(c, nil, keys); err != nil {
		return err
	}
	return c.empty()
}
