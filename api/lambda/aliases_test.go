package lambda_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// twoVersions makes f with versions 1 and 2.
func (b *bench) twoVersions() {
	b.t.Helper()
	b.create(nil)
	b.publish(nil)
	b.configure(object{"Timeout": 9})
	b.publish(nil)
}

// §2.7: shapes of the five operations. RoutingConfig is absent when empty; an update with no weights removes it; an
// alias has a revision of its own, and the function keeps its.
func TestAliasLifecycle(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.twoVersions()
	function := b.settled()["RevisionId"]
	aliases := functions + "/f/aliases"

	a := b.do("POST", aliases, object{"Name": "live", "FunctionVersion": "1"})
	made := a.fields()
	if a.status != 201 || made["AliasArn"] != arnF+":live" || made["Name"] != "live" || made["Description"] != "" ||
		made["FunctionVersion"] != "1" || made["RevisionId"] == "" {
		t.Fatalf("create: %d %s", a.status, a.body)
	}
	if _, ok := made["RoutingConfig"]; ok {
		t.Errorf("created as %s", a.body)
	}
	if got := b.do("GET", aliases+"/live", nil); got.body != a.body || got.status != 200 {
		t.Errorf("get: %d %s", got.status, got.body)
	}
	m := b.do("PUT", aliases+"/live", object{
		"Description": "d", "RoutingConfig": object{"AdditionalVersionWeights": object{"2": .25}},
		"RevisionId": made["RevisionId"],
	}).fields()
	if asText(m["RoutingConfig"]) != `{"AdditionalVersionWeights":{"2":0.25}}` || m["Description"] != "d" ||
		m["FunctionVersion"] != "1" || m["RevisionId"] == made["RevisionId"] {
		t.Errorf("updated to %v", m)
	}
	if m := b.do("GET", functions+"/f:live/configuration", nil).fields(); m["Version"] != "1" {
		t.Errorf("an alias with weights shows version %v, want its main one", m["Version"])
	}
	b.do("PUT", aliases+"/live", object{"RevisionId": made["RevisionId"]}).fails(
		412, "PreconditionFailedException", stale,
	)
	b.do("POST", aliases, object{"Name": "other", "FunctionVersion": "$LATEST"})
	for version, want := range map[string]string{
		"": "live other", "1": "live", "2": "live", "%24LATEST": "other", "3": "",
	} {
		var names []string
		for _, a := range b.do("GET", aliases+"?FunctionVersion="+version, nil).fields()["Aliases"].([]any) {
			names = append(names, a.(object)["Name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("aliases of %q are %s", version, got)
		}
	}
	page := b.do("GET", aliases+"?MaxItems=1", nil).fields()
	next, _ := page["NextMarker"].(string)
	page = b.do("GET", aliases+"?MaxItems=1&Marker="+next, nil).fields()
	if all := page["Aliases"].([]any); len(all) != 1 || all[0].(object)["Name"] != "other" ||
		page["NextMarker"] != nil {
		t.Errorf("the second page is %v", page)
	}
	m = b.do("PUT", aliases+"/live", object{
		"FunctionVersion": "2", "RoutingConfig": object{"AdditionalVersionWeights": object{}},
	}).fields()
	if _, ok := m["RoutingConfig"]; ok || m["FunctionVersion"] != "2" || m["Description"] != "d" {
		t.Errorf("updated to %v", m)
	}
	b.do("DELETE", aliases+"/live", nil).is(204, "")
	b.do("DELETE", aliases+"/live", nil).is(204, "")
	b.do("GET", aliases+"/live", nil).fails(
		404, "ResourceNotFoundException", "Cannot find alias arn: "+arnF+":live",
	)
	if after := b.settled()["RevisionId"]; after != function {
		t.Errorf("the function's revision is %v, was %v", after, function)
	}
}

// F-20, §2.7: refusals in AWS's words.
func TestAliasRefusals(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.twoVersions()
	aliases := functions + "/f/aliases"
	b.do("POST", aliases, object{"Name": "live", "FunctionVersion": "1"})
	weights := func(w object) object { return object{"AdditionalVersionWeights": w} }
	const parameter, validation = "InvalidParameterValueException", "ValidationException"
	const values = "' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: " +
		"[Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
	for _, c := range []struct {
		body          object
		status        int
		code, message string
	}{
		{object{"Name": "live", "FunctionVersion": "1"}, 409, "ResourceConflictException", "Alias already exists: " + arnF + ":live"},
		{object{"Name": "a", "FunctionVersion": "10"}, 404, "ResourceNotFoundException", "Function not found: " + arnF + ":10"},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"1": .5})},
			400, parameter,
			"Invalid function version 1. Function version 1 is already included in routing configuration.",
		},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"2": .5, "3": .1})},
			400,
			parameter,
			"Number of items in AdditionalVersionWeights cannot be greater than 1",
		},
		{
			object{"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": weights(object{"2": .5})},
			400,
			parameter,
			"$LATEST is not supported for an alias pointing to more than 1 version",
		},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"9": .5})},
			404,
			"ResourceNotFoundException", "Function not found: " + arnF + ":9",
		},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"2": 1.5})},
			400, validation,
			"1 validation error detected: Value '{2=1.5}" + values,
		},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"2": -0.5})},
			400, validation,
			"1 validation error detected: Value '{2=-0.5}" + values,
		},
		{
			object{"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(object{"2": nil})},
			400, validation,
			"1 validation error detected: Value '{2=null}" + values,
		},
		{
			object{"Name": "12", "FunctionVersion": "1"},
			400, validation,
			"1 validation error detected: Value '12' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
		},
		{
			object{"Name": "a", "FunctionVersion": "live"},
			400, validation,
			`1 validation error detected: Value 'live' at 'functionVersion' failed to satisfy constraint: Member must satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)`,
		},
		{
			object{},
			400, validation,
			"2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value null at 'functionVersion' failed to satisfy constraint: Member must not be null",
		},
	} {
		b.do("POST", aliases, c.body).fails(c.status, c.code, c.message)
	}
	b.do("PUT", aliases+"/none", object{"Description": "d"}).fails(
		404, "ResourceNotFoundException", "Alias not found: "+arnF+":none",
	)
	b.do("PUT", aliases+"/live", object{"RoutingConfig": weights(object{"1": .5})}).fails(400, parameter,
		"Invalid function version 1. Function version 1 is already included in routing configuration.")
	b.do("POST", functions+"/g/aliases", object{"Name": "a", "FunctionVersion": "1"}).fails(
		404, "ResourceNotFoundException", "Function not found: "+strings.TrimSuffix(arnF, "f")+"g",
	)
	b.do("POST", functions+"/f:live/invocations?Qualifier=none", "{}").fails(400, parameter,
		"The derived qualifier from the function name does not match the specified qualifier.")
	b.do("POST", functions+"/f:none/invocations", "{}").fails(
		404, "ResourceNotFoundException", "Function not found: "+arnF+":none",
	)
}

// F-47: with a weight of .5 each version gets between 400 and 600 of 1,000 invocations: each is routed by a toss of its
// own. The tosses come from a seed; here 100 of them run, and the share of the seed is exact.
func TestWeightsRouteEachInvocationOnItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	b := start(t, func(o *function.Options) {
		o.Coin = func() float64 {
			mu.Lock()
			defer mu.Unlock()
			return rng.Float64()
		}
	})
	b.twoVersions()
	b.do("POST", functions+"/f/aliases", object{
		"Name": "live", "FunctionVersion": "1", "RoutingConfig": object{"AdditionalVersionWeights": object{"2": .3}},
	})
	want := rand.New(rand.NewPCG(1, 2))

	for i := range 100 {
		version := "1"
		if want.Float64() < .3 {
			version = "2"
		}
		a := b.do("POST", functions+"/f:live/invocations", "{}")
		if got := a.header.Get("X-Amz-Executed-Version"); got != version {
			t.Fatalf("invocation %d ran %q, want %s: %s", i, got, version, fmt.Sprint(a.status, a.body))
		}
	}
}
