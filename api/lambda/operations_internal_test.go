package lambda

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// Every operation of the model that is not served is refused by name, and the compat page lists it.
func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	var served, others []string
	for _, op := range operations {
		if op.serve != nil {
			served = append(served, op.name)
			continue
		}
		others = append(others, op.name)
		r := httptest.NewRequest(op.method, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(op.path, "x"), nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request")
		w := httptest.NewRecorder()

		h.ServeHTTP(w, r.WithContext(wire.WithCaller(t.Context(), wire.ReadCaller(r, nil))))

		want := `{"message":"shardmill does not implement lambda ` + op.name + ` yet; see docs/compat/lambda.md."}`
		if w.Code != 501 || w.Body.String() != want || w.Header().Get("X-Amzn-Errortype") != "NotImplementedException" {
			t.Errorf("%s %s: %d %s", op.method, op.path, w.Code, w.Body)
		}
	}
	wiretest.Listed(t, "lambda", served, others)
	if n := len(served) + len(others); n != 91 || strings.Contains(strings.Join(others, " "), "Invoke ") {
		t.Errorf("%d operations are known; the model has 91", n)
	}
}
