package kinesis

import (
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

const (
	codeIncomplete = "IncompleteSignatureException"
)

// checkAuthentication checks that a signature is present and complete; it is not verified here. Source: recorded from
// AWS by kinesalite.
func checkAuthentication(r *http.Request, c wire.Caller) error {
	header := r.Header.Get("Authorization")
	inQuery := r.URL.RawQuery != "" && r.URL.Query().Has("X-Amz-Algorithm")
	switch {
	case header != "" && inQuery:
		return fault.New(
			codeInvalidSignature,
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
		)
	case header != "":
		if err := checkHeader(r, header); err != nil {
			return err
		}
	case inQuery:
		if err := checkQuery(r); err != nil {
			return err
		}
	default:
		return fault.New(fault.CodeMissingToken, "Missing Authentication Token")
	}
	if !wire.ValidRegion(c.Region) {
		return fault.New(codeInvalidSignature, "Credential should be scoped to a valid region.")
	}
	return nil
}

// checkHeader names the missing parts of an Authorization header, split on commas and spaces after its first token.
func checkHeader(r *http.Request, header string) error {
	var credential, signature, signed bool
	first := true
	for part := range wire.AuthorizationParts(header) {
		if first {
			first = false
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if value == "" {
			continue
		}
		switch name {
		case "Credential":
			credential = true
		case "Signature":
			signature = true
		case "SignedHeaders":
			signed = true
		}
	}
	dated := r.Header.Get("X-Amz-Date") != "" || r.Header.Get("Date") != ""
	if credential && signature && signed && dated {
		return nil
	}
	var text strings.Builder
	for _, p := range []struct {
		present bool
		name    string
	}{{credential, "Credential"}, {signature, "Signature"}, {signed, "SignedHeaders"}} {
		if !p.present {
			text.WriteString("Authorization header requires '" + p.name + "' parameter. ")
		}
	}
	if !dated {
		text.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	return fault.New(codeIncomplete, "%sAuthorization=%s", text.String(), clip(header))
}

// checkQuery names the missing parts of a presigned query.
func checkQuery(r *http.Request) error {
	query := r.URL.Query()
	var text strings.Builder
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date",
	} {
		if query.Get(name) == "" {
			text.WriteString("AWS query-string parameters must include '" + name + "'. ")
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return fault.New(codeIncomplete, "%sRe-examine the query-string parameters.", text.String())
}
