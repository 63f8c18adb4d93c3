package sqs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// tags returns what ListQueueTags shows, "map[]" where there is no member Tags.
func (e *endpoint) tags() string {
	e.t.Helper()
	all := e.ok("ListQueueTags", withURL(""))
	if all["Tags"] == nil {
		if len(all) > 0 {
			e.t.Errorf("a queue without tags is answered with %v", all)
		}
		return "map[]"
	}
	return fmt.Sprint(all["Tags"])
}

// SQS API Reference, TagQueue: a tag whose key is there already replaces it, and keys know upper and lower case. The
// answer about a queue without tags has no member Tags.
func TestTagsAreAddedReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	for _, step := range []struct{ op, members, want string }{
		{"", "", "map[]"},
		{"TagQueue", `"Tags":{"team":"orders","cost":"7","empty":"","none":null}`, "map[cost:7 empty: none: team:orders]"},
		{"TagQueue", `"Tags":{"cost":"8","Cost":"9"}`, "map[Cost:9 cost:8 empty: none: team:orders]"},
		{"UntagQueue", `"TagKeys":["absent","cost","team","empty","none"]`, "map[Cost:9]"},
		{"UntagQueue", `"TagKeys":["Cost"]`, "map[]"},
	} {
		if step.op != "" {
			if got := e.ok(step.op, withURL(step.members)); len(got) != 0 {
				t.Errorf("%s answers %v", step.op, got)
			}
		}
		if got := e.tags(); got != step.want {
			t.Errorf("after %s %s: %s, want %s", step.op, step.members, got, step.want)
		}
	}
}

// Seen on AWS: a queue that exists is not tagged again by CreateQueue, and other tags are refused, even where the queue
// has none.
func TestCreateQueueComparesTags(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"plain"}`)
	e.ok("CreateQueue", `{"QueueName":"orders","tags":{"team":"orders","cost":"7"}}`)
	for _, same := range []string{
		`{"QueueName":"orders"}`, `{"QueueName":"orders","tags":{}}`,
		`{"QueueName":"orders","tags":{"cost":"7","team":"orders"}}`, `{"QueueName":"plain","tags":{}}`,
	} {
		e.ok("CreateQueue", same)
	}
	for _, other := range []string{
		`{"QueueName":"plain","tags":{"team":"orders"}}`, `{"QueueName":"orders","tags":{"team":"orders"}}`,
		`{"QueueName":"orders","tags":{"team":"orders","cost":"8"}}`,
		`{"QueueName":"orders","tags":{"team":"orders","cost":"7","more":""}}`,
	} {
		e.refused(
			"CreateQueue", other, 400, "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists;Sender",
			"A queue already exists with the same name and different tags",
		)
	}
	if got := e.tags(); got != "map[cost:7 team:orders]" {
		t.Errorf("tags %s", got)
	}
}

// SQS Developer Guide, "Quotas related to queues": keys of 1 to 128 characters, values of up to 256, letters, digits,
// white space and _ . : / = + - @, nothing that begins with aws:.
func TestTagsAreBounded(t *testing.T) {
	t.Parallel()
	const (
		characters = "may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"
		keyLength  = "Tag keys must be between 1 and 128 characters in length."
		reserved   = "Tag keys and values that begin with aws: are reserved; "
	)
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	long := strings.Repeat("ä", 128)
	e.ok("TagQueue", withURL(`"Tags":`+object(map[string]string{long: strings.Repeat("ä", 256), "A_.:/=+-@ 9": "aws"})))
	before := e.tags()
	for _, c := range []struct {
		key, value, text string
	}{
		{"", "v", keyLength},
		{long + "k", "v", keyLength},
		{"k", strings.Repeat("v", 257), "Tag values must be between 0 and 256 characters in length."},
		{"a%", "v", "Tag keys " + characters},
		{"a", "b\nc", "Tag values " + characters},
		{"aws:team", "v", reserved + "aws:team was given."},
		{"AwS:", "v", reserved + "AwS: was given."},
		{"k", "aws:x", reserved + "aws:x was given."},
	} {
		tags := object(map[string]string{"good": "", c.key: c.value})
		for op, body := range map[string]string{
			"TagQueue": withURL(`"Tags":` + tags), "CreateQueue": `{"QueueName":"new","tags":` + tags + `}`,
		} {
			e.refused(op, body, 400, invalidParameter, "InvalidParameterValue;Sender", c.text)
		}
		if strings.HasPrefix(c.text, "Tag keys m") {
			e.refused("UntagQueue", withURL(`"TagKeys":["good",`+string(raw(c.key))+`]`), 400, invalidParameter,
				"InvalidParameterValue;Sender", c.text)
		}
	}
	for _, c := range []struct{ op, members, text string }{
		{"TagQueue", "", "The request must contain the parameter Tags."},
		{"TagQueue", `"Tags":{}`, "The request must contain the parameter Tags."},
		{"UntagQueue", `"TagKeys":[]`, "The request must contain the parameter TagKeys."},
	} {
		e.refused(c.op, withURL(c.members), 400, "com.amazon.coral.service#MissingRequiredParameterException",
			"MissingParameter;Sender", c.text)
	}
	if got := e.tags(); got != before {
		t.Errorf("a refused request left tags %s", got)
	}
	if got := e.ok("ListQueues", `{"QueueNamePrefix":"new"}`); len(got) != 0 {
		t.Errorf("a refused request left %v", got)
	}
}

// The fifty-first tag is refused with all that came with it; replacing one of fifty is not a fifty-first.
func TestAQueueHasFiftyTags(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	full := map[string]string{}
	for i := range 50 {
		full[fmt.Sprint("k", i)] = "v"
	}
	e.ok("CreateQueue", `{"QueueName":"orders","tags":`+object(full)+`}`)
	e.ok("TagQueue", withURL(`"Tags":{"k7":"w"}`))
	refused := func(op, body, name string) {
		t.Helper()
		e.refused(op, body, 400, invalidParameter, "InvalidParameterValue;Sender", "Too many tags added for queue "+name+".")
	}
	refused("TagQueue", withURL(`"Tags":{"k8":"w","more":""}`), "orders")
	full["more"] = ""
	refused("CreateQueue", `{"QueueName":"new","tags":`+object(full)+`}`, "new")

	got := e.ok("ListQueueTags", withURL(""))["Tags"].(map[string]any)
	if keys := slices.Collect(maps.Keys(got)); len(keys) != 50 || got["k7"] != "w" || got["k8"] != "v" {
		t.Errorf("%d tags: %v", len(keys), got)
	}
}

func object(m map[string]string) string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}
