package functiontest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// Events that the function obeys. Obey is its code.
const (
	Echo    = `{"do":"echo"}`    // answer with the event
	Fail    = `{"do":"fail"}`    // fail with errorType Boom
	Hang    = `{"do":"hang"}`    // do not answer; not for Obey
	Version = `{"do":"version"}` // answer with the version of the code
)

// Boom is the error document of Fail.
const Boom = `{"errorType":"Boom","errorMessage":"as asked"}`

// Obey is the code of the function that a Bench makes: the answer to an event, or the document of a failure. version is
// that of the code, 1 until an update. It blocks while a test holds the event.
func Obey(event []byte, version int) (answer []byte, failed bool) {
	var e struct{ Do, URL string }
	if err := json.Unmarshal(event, &e); err != nil {
		return []byte(`{"errorType":"BadEvent","errorMessage":"this is no event of functiontest"}`), true
	}
	switch e.Do {
	case "fail":
		return []byte(Boom), true
	case "version":
		return strconv.AppendInt(nil, int64(version), 10), false
	case "hold":
		resp, err := http.Get(e.URL)
		if err == nil {
			_ = resp.Body.Close() // its end is all that it says
		}
	}
	return event, false
}

// held is an event whose invocation runs until it is let go.
type held struct {
	event string
	came  chan struct{} // gets a value from every invocation that has begun
	goOn  chan struct{}
}

// hold makes an event that keeps the function busy until letGo, or until the test ends.
func hold(t *testing.T) (h *held, letGo func()) {
	h = &held{came: make(chan struct{}, 100), goOn: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		h.came <- struct{}{}
		<-h.goOn
	}))
	h.event = `{"do":"hold","url":"` + s.URL + `"}`
	open := true
	letGo = func() {
		if open {
			open = false
			close(h.goOn)
		}
	}
	t.Cleanup(func() {
		letGo()
		s.Close()
	})
	return h, letGo
}
