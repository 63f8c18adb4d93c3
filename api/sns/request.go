package sns

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// pageSize is how many entries a page of a list has, as on AWS.
const pageSize = 100

// request is one request with its caller.
type request struct {
	wire.Form
	caller wire.Caller
	hints  []string // advice for the caller
	ctx    context.Context
	topics *topic.Topics // whose policies open them to other accounts
}

func (h *Handler) read(r *http.Request, c wire.Caller, form wire.Form) (*request, error) {
	if len(form.Values) > maxFormFields {
		return nil, fault.New(codeValidation, "The request has more than %d parameters.", maxFormFields)
	}
	return &request{Form: form, caller: c, ctx: r.Context(), topics: h.topics}, nil
}

// need refuses a request without one of its required parameters. All that are absent are named at once.
func (r *request) need(parameters ...string) error {
	var v fault.Violations
	for _, p := range parameters {
		if !r.Has(p) {
			v.Null(strings.ToLower(p[:1]) + p[1:])
		}
	}
	return v.As(codeValidation)
}

// resource takes an ARN of a topic, or of a subscription, apart. more is what follows the topic's name, or "".
func (r *request) resource(parameter string) (name topic.Name, more string, err error) {
	text := r.Get(parameter)
	a, ok := arn.Parse(text)
	switch {
	case !strings.HasPrefix(text, "arn:") && strings.Count(text, ":") >= 5:
		return name, "", topic.Invalid("%s Reason: %s does not start with arn", parameter, clip(text))
	case !ok:
		return name, "", topic.Invalid(
			"%s Reason: An ARN must have at least 6 elements, not %d", parameter, 1+strings.Count(text, ":"),
		)
	case a.Service != "sns" || a.Region != r.caller.Region || a.Partition != arn.PartitionOf(a.Region):
		return name, "", topic.Invalid("%s", parameter)
	}
	account, ok := r.fold(a.Account)
	if !ok {
		return name, "", topic.Invalid("%s", parameter)
	}
	a.Resource, more, _ = strings.Cut(a.Resource, ":")
	name = topic.Name{Account: account, Region: a.Region, Name: a.Resource}
	return name, more, nil
}

// authorize judges whether the caller may do to a topic what the request asks.
func (r *request) authorize(name topic.Name) error {
	action := strings.TrimSuffix(r.Action(), "Batch") // PublishBatch is allowed by Publish
	return r.topics.Authorize(r.ctx, r.caller.Principal(), name, action)
}

// topic reads the ARN of a topic.
func (r *request) topic(parameter string) (topic.Name, error) {
	if err := r.need(parameter); err != nil {
		return topic.Name{}, err
	}
	name, more, err := r.resource(parameter)
	if err == nil {
		err = r.authorize(name)
	}
	if err == nil && (more != "" || !topic.ValidTopicName(name.Name) && !strings.HasSuffix(name.Name, ".fifo")) {
		return name, topic.Invalid("Topic Name")
	}
	return name, err
}

// subscription reads the ARN of a subscription, which is its subscriber's, whosever the topic is. id is "" if the ARN
// has none.
func (r *request) subscription() (name topic.Name, id string, err error) {
	if err := r.need("SubscriptionArn"); err != nil {
		return name, "", err
	}
	if name, id, err = r.resource("SubscriptionArn"); err != nil {
		return name, id, err
	}
	s, err := r.topics.Subscription(r.ctx, name, id)
	if err == nil && s.Owner == r.caller.Account {
		return name, id, nil
	}
	return name, id, r.authorize(name)
}

// fold replaces an account id of fewer than twelve digits, as tutorials print it, by the caller's.
func (r *request) fold(account string) (id string, ok bool) {
	id, folded, ok := arn.FoldAccount(account, r.caller.Account)
	if folded {
		r.hints = append(r.hints, fmt.Sprintf(
			"account %s in an ARN has fewer than 12 digits and was read as %s", clip(account), id,
		))
	}
	return id, ok
}

// entries are a map of texts, in the order in which it was sent; a name that is sent twice counts once, with its last
// value.
func (r *request) entries(list string) map[string]string {
	all := map[string]string{}
	for _, e := range r.Elements(list + ".entry") {
		all[r.Get(e+".key")] = r.Get(e + ".value")
	}
	return all
}

// tags reads a list of tags.
func (r *request) tags() ([]topic.Tag, error) {
	var v fault.Violations
	var tags []topic.Tag
	for i, e := range r.Elements("Tags.member") {
		t := topic.Tag{Key: r.Get(e + ".Key"), Value: r.Get(e + ".Value")}
		path := fmt.Sprintf("tags.%d.member.", i+1)
		switch n := utf8.RuneCountInString(t.Key); {
		case n < 1:
			v.Add(path+"key", clip(t.Key), "Member must have length greater than or equal to 1")
		case n > 128:
			v.Add(path+"key", t.Key, "Member must have length less than or equal to 128")
		}
		if utf8.RuneCountInString(t.Value) > 256 {
			v.Add(path+"value", t.Value, "Member must have length less than or equal to 256")
		}
		tags = append(tags, t)
	}
	return tags, v.As(codeValidation)
}

// behind reads where a page of a list begins.
func (r *request) behind() (string, error) {
	text := r.Get("NextToken")
	b, err := base64.RawURLEncoding.DecodeString(text)
	for _, c := range b { // what a token of ours can hold: names, ids, and what separates them
		if err == nil && c != '/' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') &&
			(c < 'a' || c > 'z') {
			err = base64.CorruptInputError(0)
		}
	}
	if err != nil {
		return "", topic.Invalid("NextToken Reason: the token %s is not from this service", clip(text))
	}
	return string(b), nil
}

// next returns the token of the page behind an entry; "" for "".
func next(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// clip keeps a quoted value of a caller short.
func clip(s string) string { return fault.Clip(s, 100) }
