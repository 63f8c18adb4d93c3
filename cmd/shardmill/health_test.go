package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The exit code of health says what a container's check has to know: 0 only of a shardmill that is ready, 1 of one that
// is not yet or not any more and of anything else that answers, and 3 if nobody answers in time.
func TestHealthTellsWhatAnswers(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	held := make(chan struct{})
	defer close(held)
	for what, c := range map[string]struct {
		status int
		answer string
		code   int
		says   string
	}{
		"ready":             {200, `{"ready":true}`, 0, "ready"},
		"not ready":         {503, `{"message":"it starts"}`, 1, "is not ready"},
		"ready, it says":    {200, `{"ready":false}`, 1, "is no shardmill"},
		"another program":   {200, `{}`, 1, "is no shardmill"},
		"somebody's errors": {500, `{"message":"broken"}`, 1, "broken"},
		"nobody in time":    {0, "", 3, ""},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.status == 0 {
				select {
				case <-r.Context().Done():
				case <-held:
				}
				return
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.answer))
		}))
		limit := "10s"
		if c.status == 0 {
			limit = "50ms"
		}
		var out bytes.Buffer
		began := time.Now()

		code := run([]string{"health", "--endpoint", s.URL, "--timeout", limit}, &out, &out)

		if code != c.code || !strings.Contains(out.String(), c.says) || time.Since(began) > 9*time.Second {
			t.Errorf("%s: code %d after %s: %s", what, code, time.Since(began), &out)
		}
		s.Close()
	}
}
