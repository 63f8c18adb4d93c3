package tags

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// The bounds of the service model, TagKey and TagValue; lengths are code points.
func TestTheModelBoundsKeysAndValues(t *testing.T) {
	t.Parallel()
	const pattern = `Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`
	for name, c := range map[string]struct {
		tags map[string]string
		want string // part of the message; "": accepted
	}{
		"none":                  {nil, ""},
		"both ends of lengths":  {map[string]string{"k": "", strings.Repeat("ä", 128): strings.Repeat("ä", 256)}, ""},
		"signs that are listed": {map[string]string{"aws:cloudformation:stack-id a/b=c+d@e": "_.:/=+-@ ü7"}, ""},
		"an empty key": {
			map[string]string{"": "v"}, "Map keys must satisfy constraint: [Member must have length less than",
		},
		"a long key":   {map[string]string{strings.Repeat("k", 129): "v"}, "Map keys must satisfy constraint: [Member"},
		"a long value": {map[string]string{"k": strings.Repeat("v", 257)}, "Map value must satisfy constraint: [Member"},
		"a percent sign in a key": {
			map[string]string{"a%": "v"}, "Value '{a%=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy " +
				"constraint: [" + pattern + "]",
		},
		"a line break in a value": {map[string]string{"k": "a\nb"}, "Map value must satisfy constraint: [" + pattern},
	} {
		var v fault.Violations

		Check(&v, c.tags)

		if err := v.Err(); c.want == "" && err != nil || c.want != "" && (err == nil ||
			!strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestKeysToRemoveAreBounded(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{"k": true, "": false, strings.Repeat("k", 129): false, "any % sign": true} {
		var v fault.Violations

		CheckKeys(&v, []string{"fine", key})

		if err := v.Err(); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// The 51st tag is refused, counted after the change; replacing one of 50 is not a 51st.
func TestAResourceHasFiftyTags(t *testing.T) {
	t.Parallel()
	full := map[string]string{}
	for i := range Most {
		full[fmt.Sprint(i)] = "v"
	}

	replaced, err := Change(full, map[string]string{"7": "w"}, nil)
	_, tooMany := Change(full, map[string]string{"more": ""}, nil)
	swapped, swapErr := Change(full, map[string]string{"more": ""}, []string{"7", "absent"})
	none, noneErr := Change(map[string]string{"k": "v"}, nil, []string{"k"})

	if err != nil || len(replaced) != Most || replaced["7"] != "w" || full["7"] != "v" {
		t.Errorf("replacing a tag: %v, %d tags, was %q", err, len(replaced), full["7"])
	}
	if fault.CodeOf(tooMany) != fault.CodeInvalidParameter ||
		!strings.HasSuffix(tooMany.Error(), "Number of tags exceeds resource tag limit.") {
		t.Errorf("51 tags: %v", tooMany)
	}
	if _, left := swapped["7"]; swapErr != nil || len(swapped) != Most || left {
		t.Errorf("one for another: %v, %d tags", swapErr, len(swapped))
	}
	if noneErr != nil || none != nil {
		t.Errorf("the last one: %v %v", none, noneErr)
	}
}
