package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// Algorithm is the one algorithm of signatures that is known here.
const Algorithm = "AWS4-HMAC-SHA256"

// Bounds in time of a signature.
const (
	Skew       = 15 * time.Minute // how far a request's date may be away
	MaxExpires = 7 * 24 * time.Hour
)

// Given is what a request says of its signature. Its texts are as the client wrote them: nothing is true yet.
type Given struct {
	KeyID, Day, Region, Service string // of the scope
	Stamp                       string // the date of the request in AWS's form, which is signed
	At                          time.Time
	Names                       string // of the signed headers, separated by semicolons
	Signature                   string
	Session                     string // the security token; "" without one
	Presigned                   bool
	Expires                     time.Duration // of a presigned request
}

// Reason is why a signature does not count.
type Reason uint8

// The reasons.
const (
	Missing     Reason = iota // there is no signature
	Doubled                   // there is one in a header and one in the query
	Foreign                   // another scheme of authorization
	Incomplete                // parts are missing, or a part cannot be read
	Misscoped                 // the scope is not that of the request
	Uncovered                 // something that must be signed is not
	Early                     // its time has not come yet
	Late                      // its time is over
	Mismatching               // it is not what the secret gives
)

// Refusal is why a request's signature does not count, in the words of most of AWS's services. S3 has words of its own:
// Object, unless they are the same.
type Refusal struct {
	Why          Reason
	Text, Object string
	At           time.Time // of the request, if it is known
}

func (r *Refusal) Error() string { return r.Text }

// Claims are the parts of an Authorization header, "" for those that it does not have. Of several of one name the last
// counts, as AWS has it.
type Claims struct {
	Header                       string // as a whole
	Credential, Names, Signature string
}

// Claimed takes an Authorization header apart, at commas and spaces behind its first word. Source: recorded from AWS by
// kinesalite.
func Claimed(header string) Claims {
	c := Claims{Header: header}
	_, rest, _ := strings.Cut(header, " ")
	for rest != "" {
		var some, part string
		for some, rest, _ = strings.Cut(rest, ","); some != ""; {
			part, some, _ = strings.Cut(some, " ")
			switch name, value, _ := strings.Cut(part, "="); name {
			case "Credential":
				c.Credential = value
			case "SignedHeaders":
				c.Names = value
			case "Signature":
				c.Signature = value
			}
		}
	}
	return c
}

// of returns the claims of a header: c, if that is where they come from.
func (c Claims) of(header string) Claims {
	if c.Header == header {
		return c
	}
	return Claimed(header)
}

// Present reports whether a request has a signature with all its parts, whatever they say. made is what Claimed has
// made of its Authorization header, or the zero value. Errors are *Refusal. Source: recorded from AWS by kinesalite.
func Present(r *http.Request, made Claims) error {
	header, presigned := first(r.Header, "Authorization"), queried(r)
	switch {
	case header != "" && presigned:
		return &Refusal{
			Why:  Doubled,
			Text: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
			Object: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string " +
				"parameter or the Authorization header should be specified",
		}
	case header != "":
		if refused := made.of(header).complete(r.Header); refused != nil {
			return refused
		}
		return nil
	case presigned:
		return completeQuery(r.URL.Query(), false)
	}
	return &Refusal{Why: Missing, Text: "Missing Authentication Token", Object: "Access Denied"}
}

// first is Get for a name in the spelling of http.Header, which it does not look at.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// queried reports whether a request is presigned.
func queried(r *http.Request) bool {
	return r.URL.RawQuery != "" && r.URL.Query().Has("X-Amz-Algorithm")
}

// complete names the missing parts of a signature in an Authorization header.
func (c Claims) complete(h http.Header) *Refusal {
	dated := first(h, "X-Amz-Date") != "" || first(h, "Date") != ""
	if c.Credential != "" && c.Signature != "" && c.Names != "" && dated {
		return nil
	}
	var text strings.Builder
	for _, p := range []struct {
		present bool
		name    string
	}{{c.Credential != "", "Credential"}, {c.Signature != "", "Signature"}, {c.Names != "", "SignedHeaders"}} {
		if !p.present {
			text.WriteString("Authorization header requires '" + p.name + "' parameter. ")
		}
	}
	if !dated {
		text.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	return &Refusal{
		Why: Incomplete, Text: text.String() + "Authorization=" + clip(c.Header),
		Object: "The authorization header is malformed; the authorization header requires three components: " +
			"Credential, SignedHeaders, and Signature.",
	}
}

// completeQuery names the missing parts of a presigned request.
func completeQuery(q url.Values, s3 bool) error {
	var text strings.Builder
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date",
	} {
		if q.Get(name) == "" {
			text.WriteString("AWS query-string parameters must include '" + name + "'. ")
		}
	}
	if text.Len() == 0 && (!s3 || q.Get("X-Amz-Expires") != "") {
		return nil
	}
	return &Refusal{
		Why: Incomplete, Text: text.String() + "Re-examine the query-string parameters.",
		Object: "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
			"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
	}
}

// Read returns what a request says of its signature, whose service is S3 or another one. made is what Claimed has made
// of its Authorization header, or the zero value. Errors are *Refusal: the request has no signature, or an unreadable
// one.
func Read(r *http.Request, made Claims, s3 bool) (g Given, err error) {
	if header := first(r.Header, "Authorization"); header != "" && !queried(r) {
		return made.of(header).read(r.Header)
	}
	if err := Present(r, made); err != nil {
		return Given{Presigned: queried(r)}, err
	}
	return readQuery(r.URL.Query(), s3)
}

// read reads the signature in an Authorization header.
func (c Claims) read(h http.Header) (g Given, err error) {
	scheme, _, _ := strings.Cut(c.Header, " ")
	if c.Credential == "" || c.Signature == "" || c.Names == "" {
		refused := c.complete(h)
		if !strings.HasPrefix(scheme, "AWS4-") {
			refused.Why, refused.Object = Foreign, otherScheme
		}
		return g, refused
	}
	if scheme != Algorithm {
		return g, &Refusal{
			Why: Foreign, Text: "Unsupported AWS 'algorithm': '" + clip(scheme) + "'.", Object: otherScheme,
		}
	}
	g.Names, g.Signature, g.Stamp = c.Names, c.Signature, first(h, "X-Amz-Date")
	if g.Stamp == "" {
		g.Stamp = first(h, "Date")
		if at, err := http.ParseTime(g.Stamp); err == nil {
			g.Stamp = at.UTC().Format(stampForm)
		}
	}
	if g.Stamp == "" {
		return g, c.complete(h)
	}
	if err := g.dated(); err != nil {
		return g, err
	}
	g.Session = first(h, "X-Amz-Security-Token")
	return g, g.scope(c.Credential)
}

const otherScheme = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."

// dated reads the date.
func (g *Given) dated() (err error) {
	if g.At, err = stamped(g.Stamp); err == nil {
		return nil
	}
	return &Refusal{
		Why: Incomplete,
		Text: "Date must be in ISO-8601 'basic format'. Got '" + clip(g.Stamp) +
			"'. See http://en.wikipedia.org/wiki/ISO_8601",
		Object: "AWS authentication requires a valid Date or x-amz-date header",
	}
}

// stamped is time.Parse of stampForm, for which it stands in: every request has a date, and nearly every one is plain.
func stamped(s string) (time.Time, error) {
	var part [14]int
	if len(s) != len(stampForm) || s[8] != 'T' || s[15] != 'Z' {
		return time.Parse(stampForm, s)
	}
	n := 0
	for i := range 15 {
		if i == 8 {
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return time.Parse(stampForm, s)
		}
		part[n] = int(s[i] - '0')
		n++
	}
	two := func(i int) int { return 10*part[i] + part[i+1] }
	year, month, day, hour, minute, second := 100*two(0)+two(2), two(4), two(6), two(8), two(10), two(12)
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if month < 1 || month > 12 || t.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return time.Parse(stampForm, s) // which says what is wrong
	}
	return t, nil
}

// readQuery reads the signature of a presigned request.
func readQuery(q url.Values, s3 bool) (g Given, err error) {
	g.Presigned = true
	if err := completeQuery(q, s3); err != nil {
		return g, err
	}
	if a := q.Get("X-Amz-Algorithm"); a != Algorithm {
		return g, &Refusal{
			Why: Incomplete, Text: "Unsupported AWS 'algorithm': '" + clip(a) + "'.",
			Object: `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`,
		}
	}
	g = Given{
		Stamp: q.Get("X-Amz-Date"), Names: q.Get("X-Amz-SignedHeaders"), Signature: q.Get("X-Amz-Signature"),
		Session: q.Get("X-Amz-Security-Token"), Presigned: true, Expires: Skew,
	}
	if err := g.dated(); err != nil {
		return g, err
	}
	if seconds := q.Get("X-Amz-Expires"); seconds != "" {
		n, err := strconv.ParseInt(seconds, 10, 64)
		problem := ""
		switch {
		case err != nil:
			problem = "X-Amz-Expires should be a number"
		case n < 0:
			problem = "X-Amz-Expires must be non-negative"
		case n > int64(MaxExpires/time.Second):
			problem = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be " +
				"less than 604800 seconds"
		}
		if problem != "" {
			return g, &Refusal{Why: Incomplete, Text: problem, Object: problem}
		}
		g.Expires = time.Duration(n) * time.Second
	}
	return g, g.scope(q.Get("X-Amz-Credential"))
}

// scope takes a credential apart.
func (g *Given) scope(credential string) error {
	id, rest, _ := strings.Cut(credential, "/")
	day, rest, _ := strings.Cut(rest, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, ok := strings.Cut(rest, "/")
	if !ok || id == "" || strings.Contains(end, "/") {
		return &Refusal{
			Why: Incomplete,
			Text: "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
				clip(credential) + "'",
			Object: g.where() + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`,
		}
	}
	if end != ending {
		return &Refusal{
			Why:    Misscoped,
			Text:   "Credential should be scoped with a valid terminator: 'aws4_request', not '" + clip(end) + "'. ",
			Object: g.where() + `incorrect terminator "` + clip(end) + `". This endpoint uses "aws4_request".`,
		}
	}
	g.KeyID, g.Day, g.Region, g.Service = id, day, region, service
	return nil
}

// where begins S3's texts about a scope.
func (g *Given) where() string {
	if g.Presigned {
		return "Error parsing the X-Amz-Credential parameter; "
	}
	return "The authorization header is malformed; "
}

// Check judges what a request says of its signature, as far as that needs no secret: the service that it is scoped to,
// its day, its age by a clock, and what is signed. Errors are *Refusal.
func (g *Given) Check(r *http.Request, service string, now time.Time) error {
	switch {
	case g.Service != service:
		return &Refusal{
			Why: Misscoped, Text: "Credential should be scoped to correct service: '" + service + "'. ",
			Object: g.where() + `incorrect service "` + clip(g.Service) + `". This endpoint belongs to "` + service +
				`".`,
		}
	case g.day() != g.Day:
		return &Refusal{
			Why: Misscoped,
			Text: "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
				clip(g.Day) + "' != '" + g.day() + "', from '" + clip(g.Stamp) + "'.",
			Object: g.where() + `Invalid credential date "` + clip(g.Day) + `". This date is not the same as X-Amz-Date: "` +
				g.day() + `".`,
		}
	}
	if err := g.covers(r, service == "s3"); err != nil {
		return err
	}
	return g.timely(now)
}

// day returns the day of the request.
func (g *Given) day() string {
	day, _, _ := strings.Cut(g.Stamp, "T")
	return day
}

// timely judges the age of a request.
func (g *Given) timely(now time.Time) error {
	lives := Skew
	if g.Presigned {
		lives = g.Expires
	}
	now = time.Unix(now.Unix(), 0).UTC()
	switch {
	case g.At.After(now.Add(Skew)):
		return &Refusal{
			Why: Early, At: g.At,
			Text: "Signature not yet current: " + g.Stamp + " is still later than " + now.Add(Skew).Format(stampForm) +
				" (" + now.Format(stampForm) + " + 15 min.)",
		}
	case g.At.Add(lives).Before(now):
		return &Refusal{
			Why: Late, At: g.At,
			Text: "Signature expired: " + g.Stamp + " is now earlier than " + now.Add(-lives).Format(stampForm) + " (" +
				now.Format(stampForm) + " - " + strconv.FormatInt(int64(lives/time.Minute), 10) + " min.)",
		}
	}
	return nil
}

// covers judges what is signed: the host, and what would change the meaning of the request.
func (g *Given) covers(r *http.Request, s3 bool) error {
	if !g.signs("host") && !g.signs(":authority") { // the host in HTTP/2, under which some SDKs sign it
		text := "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
		return &Refusal{Why: Uncovered, Text: text, Object: unsignedHeaders}
	}
	if !s3 {
		if r.Header["X-Amz-Target"] != nil && !g.signs("x-amz-target") {
			return &Refusal{
				Why: Uncovered, Text: "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
			}
		}
		return nil
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-Date" && !g.signs(strings.ToLower(name)) {
			return &Refusal{Why: Uncovered, Object: unsignedHeaders}
		}
	}
	return nil
}

const unsignedHeaders = "There were headers present in the request which were not signed"

// signs reports whether a header, in lower case, is among the signed ones.
func (g *Given) signs(name string) bool {
	rest := g.Names
	for rest != "" {
		var one string
		one, rest, _ = strings.Cut(rest, ";")
		if one == name {
			return true
		}
	}
	return false
}

// clip cuts a client's text to what one reads.
func clip(s string) string { return fault.Clip(s, 2048) }
