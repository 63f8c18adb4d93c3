package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
)

// Mode says what serves a companion.
type Mode uint8

// Modes of a companion.
const (
	Embedded Mode = iota // this process
	Off                  // nothing: its operations are refused by name
	Proxied              // another server
)

// Setting is what serves a companion. All but Mode is empty unless it is Proxied.
type Setting struct {
	Mode    Mode
	URL     string // scheme://host[:port]
	Profile string // of the credentials file
	Account string // of the target, 12 digits; "": the access key of the profile, if that is an account
	Region  string // of the target
}

// Forms says what ParseSetting takes, for messages.
const Forms = "embedded, off or proxy:URL[,PROFILE][,account=ID][,region=REGION]"

// ParseSetting reads the value of a companion's flag. The region may be left out if the host is AWS's.
func ParseSetting(value string) (Setting, error) {
	switch value {
	case "", "embedded":
		return Setting{}, nil
	case "off":
		return Setting{Mode: Off}, nil
	}
	rest, ok := strings.CutPrefix(value, "proxy:")
	if !ok {
		return Setting{}, fmt.Errorf("%q is none of %s", value, Forms)
	}
	parts := strings.Split(rest, ",")
	s := Setting{Mode: Proxied, Profile: "default"}
	host, err := s.target(parts[0])
	if err != nil {
		return Setting{}, err
	}
	for i, part := range parts[1:] {
		name, v, named := strings.Cut(part, "=")
		switch {
		case !named && i == 0 && part != "":
			s.Profile = part
		case named && name == "account":
			s.Account = v
			if !wire.IsAccount(v) {
				return Setting{}, fmt.Errorf("account %q does not have 12 digits", v)
			}
		case named && name == "region":
			s.Region = v
			if !wire.ValidRegion(v) {
				return Setting{}, fmt.Errorf("region %q is no region", v)
			}
		default:
			return Setting{}, fmt.Errorf("%q is not understood; write proxy:URL[,PROFILE][,account=ID][,region=REGION]", part)
		}
	}
	if s.Region == "" {
		s.Region = regionOf(host)
	}
	if s.Region == "" {
		return Setting{}, fmt.Errorf("the host %s does not tell its region; add ,region=us-east-1 or another one", host)
	}
	return s, nil
}

// target takes the URL of a setting.
func (s *Setting) target(text string) (host string, err error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("proxy:%s has no URL such as https://sqs.eu-west-1.amazonaws.com", redacted(text))
	case u.User != nil:
		return "", errors.New("the URL holds a user name; credentials belong into the file of --proxy-credentials")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("the URL %s must begin with https:// or http://", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("the URL %s must end after its host and port", text)
	case u.Scheme == "http" && amazon(u.Hostname()):
		return "", fmt.Errorf("%s is AWS's; reach it by https://", u.Hostname())
	}
	s.URL = u.Scheme + "://" + u.Host
	return u.Hostname(), nil
}

// redacted returns a text without what may be a password.
func redacted(text string) string {
	if strings.Contains(text, "@") {
		return "…"
	}
	return text
}

// amazon reports whether a host is AWS's.
func amazon(host string) bool {
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"} {
		if strings.HasSuffix(strings.ToLower(host), domain) {
			return true
		}
	}
	return false
}

// regionOf returns the region that a host of AWS's names; "": none. A global host signs for us-east-1.
func regionOf(host string) string {
	if !amazon(host) {
		return ""
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, label := range labels {
		if regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`).MatchString(label) {
			return label
		}
	}
	if len(labels) == 3 { // service.amazonaws.com
		return wire.DefaultRegion
	}
	return ""
}

// Shared reports whether the target serves several services on one host, as AWS does not.
func (s Setting) Shared() bool {
	u, err := url.Parse(s.URL)
	return err == nil && !amazon(u.Hostname())
}

// Plain reports whether requests travel unencrypted beyond this machine.
func (s Setting) Plain() bool {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())
}
