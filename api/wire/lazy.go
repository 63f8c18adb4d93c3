package wire

import (
	"net/http"
	"sync"
)

// Lazy returns a handler that is built at its first request: most services of a server are never called, and then take
// no memory.
func Lazy(build func() http.Handler) http.Handler {
	h := sync.OnceValue(build)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h().ServeHTTP(w, r) })
}
