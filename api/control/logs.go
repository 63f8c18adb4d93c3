package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// LogLine is one line of GET logs, newline-delimited JSON.
type LogLine struct {
	At      time.Time `json:"at"`
	Stream  string    `json:"stream"`
	Message string    `json:"message"`
}

// loggedBy returns the function, with account and region, that a request for logs means, and its log group. A deleted
// function is still found by its default group.
func (h *handler) loggedBy(q url.Values) (ref function.Ref, group logstore.Group, err error) {
	c := function.Caller{
		Account: cmp.Or(q.Get("account"), wire.DefaultAccount), Region: cmp.Or(q.Get("region"), wire.DefaultRegion),
	}
	name, err := function.ParseName(q.Get("function"), c)
	if err != nil {
		return ref, group, err
	}
	ref = name.Ref
	group = logstore.Group{Account: ref.Account, Region: ref.Region, Name: function.DefaultLogGroup(ref.Name)}
	if conf, ok := h.Functions.Lookup(ref); ok {
		group.Name = conf.LogGroup
		return ref, group, nil
	}
	if err = h.Logs.Exists(group, ""); err == nil {
		return ref, group, nil
	}
	text := fmt.Sprintf(
		"there is no function %s in account %s, %s, and nothing is left that one has logged", ref.Name, ref.Account,
		ref.Region,
	)
	if others := h.Functions.Named(ref.Name); len(others) > 0 {
		text += fmt.Sprintf("; there is one in account %s, %s", others[0].Account, others[0].Region)
	}
	return ref, group, &Problem{http.StatusNotFound, text}
}

// logs writes a function's log lines, and with follow=1 those that come, until the client goes.
func (h *handler) logs(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	if err := within(req, cmp.Or(q.Get("account"), wire.DefaultAccount)); err != nil {
		return err
	}
	if q.Get("function") == "" {
		return &Problem{http.StatusBadRequest, "the query parameter function is missing"}
	}
	if off, ok := h.Logs.(LogsOff); ok {
		return &Problem{http.StatusNotImplemented, off.Off().Error()}
	}
	ref, group, err := h.loggedBy(q)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return &Problem{http.StatusBadRequest, refused.Message}
	}
	if err != nil {
		return err
	}
	var since time.Time
	if v := q.Get("since"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return &Problem{http.StatusBadRequest, fmt.Sprintf("since is %q; it must be a duration such as 10m", v)}
		}
		since = h.Clock.Now().Add(-d)
	}
	out := wire.Stream{
		ContentType: "application/x-ndjson",
		Refuse:      func(err error) { answerProblem(w, err) },
		Broken:      func(err error) []byte { return line(LogLine{Message: "reading the log: " + err.Error()}) },
	}
	out.Serve(w, req, func(ctx context.Context) error {
		if err := out.Begin(); err != nil { // a follower learns at once that it is connected
			return err
		}
		query := logstore.Query{
			Group: group, Since: since, Follow: q.Get("follow") == "1",
			Stream: func(stream string) bool { return function.LogsTo(group.Name, stream, ref.Name) },
		}
		return h.Logs.Read(ctx, query, func(e logstore.Event) bool {
			return out.Send(line(LogLine{e.At, e.Stream, strings.TrimSuffix(e.Message, "\n")})) == nil
		})
	})
	return nil
}

func line(l LogLine) []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // texts and a time
	}
	return append(b, '\n')
}
