package proxy

import (
	"context"
	"errors"
	"hash/crc32"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/proxy/translate"
)

// Service returns a row of the shared port that forwards to the target. The row says how the service is named and how
// it refuses; names is where its requests and answers hold names. check, unless it is nil, may refuse a form.
func (t *Target) Service(
	row wire.Service, names *translate.Service, check func(c wire.Caller, form wire.Form) *fault.Error,
) wire.Service {
	f := &forwarder{refuser{t, row}, names, check}
	row.Handler = f
	return row
}

// refuser answers what cannot be forwarded, in the words of the service.
type refuser struct {
	target *Target
	row    wire.Service
}

func (f refuser) refuse(w http.ResponseWriter, r *http.Request, err error) {
	c := wire.CallerOf(r.Context())
	wire.SetIDs(w.Header(), c)
	f.row.Refuse(w, r, f.fault(r.Context(), c, err))
}

// fault returns what the caller is told about an error.
func (f refuser) fault(ctx context.Context, c wire.Caller, err error) *fault.Error {
	var why *failure
	if errors.As(err, &why) && ctx.Err() == nil {
		f.target.log.Warn(
			"a request could not be forwarded", "request_id", c.RequestID, "service", f.row.Name, "error", why.text,
		)
		return &fault.Error{
			Code: f.row.Codes.Unavailable, Status: http.StatusServiceUnavailable, Message: why.text + ".",
			Hint: why.hint,
		}
	}
	faults := wire.Faults{Internal: f.row.Codes.Internal, Unavailable: f.row.Codes.Unavailable, Log: f.target.log}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return faults.Of(ctx, c, err)
}

// forwarder forwards requests of the JSON and the query protocols.
type forwarder struct {
	refuser
	names *translate.Service
	check func(c wire.Caller, form wire.Form) *fault.Error
}

// ServeHTTP forwards one request.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got, err := f.forward(r)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	h := w.Header()
	for name, values := range passed(got.header) {
		h[name] = values
	}
	h["Content-Length"] = []string{strconv.Itoa(len(got.body))}
	w.WriteHeader(got.status)
	_, _ = w.Write(got.body) // a client that went away is not our error
}

func (f *forwarder) forward(r *http.Request) (got answer, err error) {
	if err := plain(r); err != nil {
		return got, err
	}
	body, err := wire.ReadBody(r, maxRequest)
	if err != nil {
		return got, err
	}
	if err := wire.Charge(r.Context(), int64(len(body))); err != nil { // for the copy with other names
		return got, err
	}
	c := wire.CallerOf(r.Context())
	names := f.target.namesOf(c)
	query := unsigned(r.URL.RawQuery)
	if err := f.permit(r, query, body); err != nil {
		return got, err
	}
	if f.isJSON(r) {
		body = f.names.RequestJSON(names, body)
	} else {
		if err := f.checkForm(c, query, body); err != nil {
			return got, err
		}
		query, body = f.names.Form(names, query), []byte(f.names.Form(names, string(body)))
	}
	h := passed(r.Header)
	h.Del("Content-Md5") // of other names
	h["Accept-Encoding"] = []string{"identity"}
	path := "/"
	if f.row.Name == "sqs" && names.QueuePath(r.URL.Path) != "" {
		path = names.QueuePath(r.URL.Path)
	}
	got, err = f.target.call(r.Context(), f.row.Name, r.Method, path, query, h, body)
	if err != nil {
		return got, err
	}
	f.rename(names.Back(), &got)
	return got, nil
}

// isJSON reports whether a request is one of the JSON protocols; all others have forms.
func (f *forwarder) isJSON(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" }

// permit judges whether the caller may call the operation that the request names.
func (f *forwarder) permit(r *http.Request, query string, body []byte) error {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return wire.Permit(r, name)
	}
	form, err := wire.ParseForm(query, string(body))
	if err != nil {
		return err
	}
	return wire.Permit(r, form.Action())
}

// plain refuses bodies that cannot be looked into.
func plain(r *http.Request) error {
	if r.Header.Get("Smithy-Protocol") != "" {
		return &fault.Error{
			Code: fault.CodeNotImplemented, Status: http.StatusNotImplemented,
			Message: "shardmill does not forward RPC v2 CBOR yet; see docs/companions.md.",
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return &fault.Error{
			Code: fault.CodeUnsupportedMediaType, Status: http.StatusUnsupportedMediaType,
			Message: "shardmill does not forward a body with Content-Encoding " + fault.Clip(e, 50) + " to this service.",
		}
	}
	return nil
}

func (f *forwarder) checkForm(c wire.Caller, query string, body []byte) error {
	if f.check == nil {
		return nil
	}
	form, err := wire.ParseForm(query, string(body))
	if err != nil {
		return err
	}
	if refused := f.check(c, form); refused != nil {
		if refused.Status == 0 {
			return refused.WithStatus(http.StatusBadRequest)
		}
		return refused
	}
	return nil
}

// rename gives an answer our names.
func (f *forwarder) rename(names translate.Names, got *answer) {
	before := got.body
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	switch {
	case strings.Contains(media, "json"):
		got.body = f.names.AnswerJSON(names, before)
	case strings.Contains(media, "xml"):
		got.body = f.names.AnswerXML(names, before)
	}
	if got.header.Get("X-Amz-Crc32") != "" && string(got.body) != string(before) { // DynamoDB's clients check it
		got.header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(got.body)), 10))
	}
}

// OffService returns a row of the shared port for a companion that is off: whatever it is asked, it refuses by name.
func OffService(row wire.Service, companion string) wire.Service {
	refuse := row.Refuse
	code := fault.CodeNotImplemented
	if row.Name == "s3" {
		code = "NotImplemented"
	}
	row.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.SetIDs(w.Header(), wire.CallerOf(r.Context()))
		refuse(w, r, &fault.Error{
			Code: code, Status: http.StatusNotImplemented, Message: OffText(companion),
			Hint: "start the server with --" + companion + " embedded, or --" + companion + " proxy:URL",
		})
	})
	return row
}

// OffText says that a companion is off.
func OffText(companion string) string {
	return "The companion " + companion + " is off: the server was started with --" + companion + " off."
}
