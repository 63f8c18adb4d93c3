package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// The caller gets what it may know of an error; the rest is logged with the request's id, unless the caller has left or
// the server is stopping.
func TestFaultsAreToldAsTheServiceTellsThem(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	for name, c := range map[string]struct {
		err    error
		code   string
		status int
		logged string
	}{
		"the caller's":      {fault.New("NoSuchThing", "It is not there."), "NoSuchThing", 404, ""},
		"of another status": {fault.New("NoSuchThing", "").WithStatus(410), "NoSuchThing", 410, ""},
		"without a status":  {fault.New("BadThing", "It is bad."), "BadThing", 400, ""},
		"with a cause": {
			fault.New("BadThing", "").Because(errors.New("the disk")), "BadThing", 400, "the disk",
		},
		"ours":                    {errors.New("the disk"), "InternalFailure", 500, "the disk"},
		"the caller has left":     {fmt.Errorf("wait: %w", context.Canceled), "Unavailable", 503, ""},
		"the caller's time is up": {context.DeadlineExceeded, "Unavailable", 503, ""},
		"the room has stopped":    {fmt.Errorf("read: %w", stopped), "Unavailable", 503, ""},
	} {
		var log bytes.Buffer
		faults := Faults{
			Internal: "InternalFailure", Unavailable: "Unavailable", Stopped: []error{stopped},
			Statuses: map[string]int{"NoSuchThing": 404}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}

		got := faults.Of(t.Context(), Caller{RequestID: "r-1"}, c.err)

		if got.Code != c.code || got.Status != c.status || strings.Contains(got.Message, "disk") {
			t.Errorf("%s: %+v, want %s %d", name, got, c.code, c.status)
		}
		if said := log.String(); (c.logged == "") != (said == "") ||
			c.logged != "" && (!strings.Contains(said, c.logged) || !strings.Contains(said, "request_id=r-1")) {
			t.Errorf("%s: logged %q", name, said)
		}
	}
}
