package runtimeapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The Telemetry API (2022-07-01): an extension subscribes to telemetry, which another room delivers; see Subscription.
// Source: Lambda Developer Guide, "Lambda Telemetry API reference". The page shows two texts of refusals; the others
// follow their form.
const (
	telemetryPath = "/2022-07-01/telemetry"
	logsPath      = "/2020-08-15/logs"
	maxSubscribe  = 64 << 10 // bytes of a body
)

// Kinds of telemetry that an extension may subscribe to.
const (
	TelemetryPlatform  = "platform"
	TelemetryFunction  = "function"
	TelemetryExtension = "extension"
)

// Subscription describes what an extension wants delivered to a port of its environment, as JSON arrays by POST.
type Subscription struct {
	Extension string // its name
	Schema    string // schemaVersion
	Types     []string
	Port      int
	Path      string // of the URI, with its query
	MaxItems  int
	MaxBytes  int
	Timeout   time.Duration // after which a batch is sent even if it is not full
}

// bound holds the limits and the default of a number of the buffering.
type bound struct {
	name                   string
	least, most, otherwise int
}

var bounds = [...]bound{
	{"maxItems", 1000, 10_000, 1000}, {"maxBytes", 262_144, 1_048_576, 262_144}, {"timeoutMs", 25, 30_000, 1000},
}

var schemas = []string{"2022-07-01", "2022-12-13", "2025-01-29"}

// subscribe handles PUT /telemetry. A second subscription of an extension replaces the first.
func (s *Server) subscribe(c *conn, br *bufio.Reader, r *request) bool {
	body, tooLarge, err := s.body(c, br, r, maxSubscribe)
	if err != nil {
		return false
	}
	id, ok := s.identified(c, r)
	if !ok {
		return id == ""
	}
	s.mu.Lock()
	e := s.extension(id)
	open := s.state == starting
	s.mu.Unlock()
	switch {
	case e == nil:
		return s.refuseExtension(c, "Extension.UnknownExtensionIdentifier", "Unknown extension %s", id)
	case !open:
		return s.refuseExtension(c, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already")
	case tooLarge:
		return reply(
			c, 400, errorBody("ValidationError", fmt.Sprintf("the body is larger than %d bytes", maxSubscribe)),
		)
	}
	sub, faults := parseSubscription(body)
	if len(faults) > 0 {
		return reply(c, 400, errorBody("ValidationError", strings.Join(faults, "; ")))
	}
	sub.Extension = e.name
	s.h.Subscribed(sub)
	return replyRaw(c, 200, "application/json", []byte(`"OK"`))
}

// parseSubscription parses a body; faults lists everything wrong with it.
func parseSubscription(body []byte) (sub Subscription, faults []string) {
	var in struct {
		SchemaVersion string                     `json:"schemaVersion"`
		Types         []string                   `json:"types"`
		Buffering     map[string]json.RawMessage `json:"buffering"`
		Destination   *struct{ Protocol, URI string }
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if err := json.Unmarshal(body, &in); err != nil {
		return sub, []string{"the body is not a subscription: " + err.Error()}
	}
	sub.Schema = in.SchemaVersion
	if !slices.Contains(schemas, sub.Schema) {
		fault("schemaVersion should be one of %s", strings.Join(schemas, ", "))
	}
	switch d := in.Destination; {
	case d == nil:
		fault("destination is not provided")
	case strings.EqualFold(d.Protocol, "TCP"):
		fault("shardmill delivers by HTTP only; destination protocol TCP is not supported")
	case !strings.EqualFold(d.Protocol, "HTTP"):
		fault("destination protocol should be HTTP or TCP")
	default:
		sub.Port, sub.Path = destination(d.URI, fault)
	}
	if len(in.Types) == 0 {
		fault("types should not be empty")
	}
	for _, t := range in.Types {
		switch {
		case t != TelemetryPlatform && t != TelemetryFunction && t != TelemetryExtension:
			fault("type %.64q should be platform, function or extension", t)
		case slices.Contains(sub.Types, t):
			fault("types should be unique")
		default:
			sub.Types = append(sub.Types, t)
		}
	}
	var values [len(bounds)]int
	for i, b := range bounds {
		values[i] = b.value(in.Buffering[b.name], fault)
	}
	sub.MaxItems, sub.MaxBytes, sub.Timeout = values[0], values[1], time.Duration(values[2])*time.Millisecond
	return sub, faults
}

// value parses a number and checks it against the bound.
func (b bound) value(text json.RawMessage, fault func(string, ...any)) int {
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		return b.otherwise
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || n != math.Trunc(n) || n < float64(b.least) || n > float64(b.most) {
		fault("buffering %s should be a number from %d to %d", b.name, b.least, b.most)
		return b.otherwise
	}
	return int(n)
}

// destination returns port and path of a URI in the environment, which is called sandbox or sandbox.localdomain there.
func destination(uri string, fault func(string, ...any)) (port int, path string) {
	u, err := url.Parse(uri)
	switch {
	case uri == "":
		fault("URI is not provided")
		return 0, ""
	case err != nil || u.Scheme != "http":
		fault("URI should begin with http://")
		return 0, ""
	}
	switch u.Hostname() {
	case "sandbox.localdomain", "sandbox", "localhost", "127.0.0.1":
	default:
		fault("URI host should be sandbox.localdomain")
	}
	if u.Port() == "" {
		fault("URI port is not provided")
		return 0, ""
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > 65535 {
		fault("URI port should be from 1 to 65535")
	}
	if path = u.RequestURI(); path == "" {
		path = "/"
	}
	return port, path
}
