package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestLazyHandlerIsMadeOnceAtTheFirstRequest(t *testing.T) {
	t.Parallel()
	made := 0
	h := Lazy(func() http.Handler {
		made++
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	if made != 0 {
		t.Error("made before a request came")
	}
	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("answered %d", w.Code)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}

func TestPatternIsCompiledWhenItIsAsked(t *testing.T) {
	t.Parallel()
	p := Pattern(`^a+$`)
	if !p.MatchString("aa") || p.MatchString("b") || p.String() != `^a+$` {
		t.Error("the pattern is another one")
	}
}
