package wiretest

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/auth"
)

// notServed begins the paragraph of a page in docs/compat that lists the operations refused with 501.
const notServed = "Not served (501): "

// Listed fails unless a page of docs/compat agrees with the service's model: the page's list has exactly the refused
// operations, and each served one is elsewhere on the page; or unless each served one is in the lists of roles. It runs
// in the folder of a service.
func Listed(t *testing.T, page string, served, refused []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "compat", page+".md"))
	if err != nil {
		t.Fatal(err)
	}
	before, list, found := strings.Cut(string(b), "\n"+notServed)
	if found != (len(refused) > 0) {
		t.Fatalf(
			"%d operations are refused, and docs/compat/%s.md has a paragraph that begins with %q: %t", len(refused), page,
			notServed, found,
		)
	}
	list, after, _ := strings.Cut(list, "\n\n")
	listed := words(list)
	elsewhere := words(before + " " + after)
	if !slices.IsSorted(listed) {
		t.Errorf("docs/compat/%s.md does not list what is not served in order", page)
	}
	for _, name := range refused {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is refused, and docs/compat/%s.md does not list it", name, page)
		}
	}
	for _, name := range listed {
		if !slices.Contains(refused, name) {
			t.Errorf("docs/compat/%s.md says that %s is refused, which the model does not", page, name)
		}
	}
	for _, name := range served {
		if !slices.Contains(elsewhere, name) {
			t.Errorf("%s is served, and docs/compat/%s.md does not tell how", name, page)
		}
		if slices.Contains(refused, name) {
			t.Errorf("%s is both served and refused", name)
		}
		if service := cmp.Or(scopes[page], page); !auth.Known(service, name) {
			t.Errorf("%s of %s is served, and auth/operations.go does not list what it is for", name, service)
		}
	}
}

// scopes are the names of services in credential scopes, by pages that have another name.
var scopes = map[string]string{"cloudwatch": "monitoring"}

// words returns the runs of letters and digits in a text.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	})
}
