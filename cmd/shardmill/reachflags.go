package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/server"
)

// reachFlags say where a server listens, and by which names it is called.
type reachFlags struct {
	port      int
	bind      string
	listen    []string
	advertise string
	allow     []string
	auth      string
	cert, key string
	signed    string
}

func (f *reachFlags) register(c *cobra.Command) {
	c.Flags().IntVar(
		&f.port, "port", server.DefaultPort, "port for every API, of addresses without one; 0: any free one",
	)
	c.Flags().StringVar(&f.bind, "bind", "127.0.0.1", "address to listen on at --port; --listen takes several")
	c.Flags().StringSliceVar(
		&f.listen, "listen", nil,
		"addresses to listen on: 127.0.0.1, [::1]:4566, 0.0.0.0, unix:PATH; other machines need --auth (default: --bind)",
	)
	c.Flags().StringVar(
		&f.advertise, "advertise", "",
		"http://host:port of URLs in answers, such as QueueUrl (default: the address that the client has used)",
	)
	c.Flags().StringSliceVar(
		&f.allow, "allow-host", nil, "further names by which clients may call it, *.NAME for all names below one",
	)
	c.Flags().StringVar(
		&f.auth, "auth", "",
		"static:FILE: signatures are verified with the keys in a file, see docs/auth.md; off, under dev: nobody is asked",
	)
	f.registerTLS(c)
}

// registerTLS adds the flags of TLS.
func (f *reachFlags) registerTLS(c *cobra.Command) {
	c.Flags().StringVar(
		&f.cert, "tls-cert", "", "file of the certificate in PEM, with its chain: addresses speak TLS; read again when it changes",
	)
	c.Flags().StringVar(&f.key, "tls-key", "", "file of the key of --tls-cert in PEM")
	c.Flags().StringVar(
		&f.signed, "tls-self-signed", "",
		"TLS for tests: sign a certificate, and keep what clients have to trust as ca.pem in =DIR (default: DATA/tls, or a place of this user)",
	)
	c.Flags().Lookup("tls-self-signed").NoOptDefVal = defaultSigned
}

// defaultSigned is the value of --tls-self-signed without one.
const defaultSigned = "in its place"

// signedDir returns the directory that --tls-self-signed means.
func (f *reachFlags) signedDir(data string) (string, error) {
	switch {
	case f.signed != defaultSigned:
		return f.signed, nil
	case data != "":
		return filepath.Join(data, "tls"), nil
	}
	token, err := server.TokenFile("127.0.0.1:0")
	return filepath.Join(filepath.Dir(token), "tls"), err
}

// into puts the flags into a configuration.
func (f *reachFlags) into(c *cobra.Command, cfg *server.Config) error {
	if c.Flags().Changed("bind") && c.Flags().Changed("listen") {
		return usage(c, "--bind and --listen exclude each other")
	}
	switch f.auth {
	case "":
		if c.Flags().Changed("auth") {
			return usage(c, `--auth is ""; it must be static:FILE or off`)
		}
	case "off":
		cfg.AuthOff = true
	default:
		if err := openKeys(c, f.auth, cfg); err != nil {
			return err
		}
	}
	cfg.Port, cfg.Listen, cfg.Advertise, cfg.AllowHosts = f.port, f.listen, f.advertise, f.allow
	var err error
	if cfg.TLSSelfSigned, err = f.signedDir(cfg.Data); err != nil {
		return err
	}
	cfg.TLSCert, cfg.TLSKey = f.cert, f.key
	if c.Flags().Changed("listen") && len(f.listen) == 0 {
		return usage(c, "--listen names no address")
	}
	if f.bind != "127.0.0.1" && f.bind != "localhost" {
		cfg.Listen = []string{net.JoinHostPort(strings.Trim(f.bind, "[]"), strconv.Itoa(f.port))}
	}
	return nil
}

// refused says what is wrong with a configuration, and what to do.
func refused(c *cobra.Command, err error) error {
	var beyond *server.BeyondLoopback
	if errors.As(err, &beyond) {
		return &failure{code: exitUsage, text: beyond.Error(), hint: beyond.Hint()}
	}
	return usage(c, "%s", err)
}

// whoCalls says what is known of those who call: a part of a line, and a warning or "".
func whoCalls(s *server.Server, cfg server.Config) (part, warning string) {
	switch {
	case cfg.Auth != nil:
		return "signatures are verified (" + cfg.Auth.Path() + ")", ""
	case s.Open():
		return "signatures are not verified (--auth off)", fmt.Sprintf(
			"whoever reaches %s may do everything, run code here included: requests are not authenticated (--auth off)",
			strings.Join(s.Beyond(), " or "),
		)
	case !cfg.Dev:
		return "signatures are not verified on loopback",
			"every process on this machine can call it: requests are not authenticated"
	}
	return "signatures are not verified on loopback", ""
}

// reachLines returns what a person needs to know of how a running server is reached, beside its endpoint.
func reachLines(endpoint string, r control.Reach) (lines []string) {
	var others []string
	for _, a := range r.Addresses {
		if a != endpoint {
			others = append(others, a)
		}
	}
	if others != nil {
		lines = append(lines, "It also listens on "+strings.Join(others, ", ")+".")
	}
	if r.Advertise != "" {
		lines = append(lines, "URLs in answers begin with "+r.Advertise+".")
	}
	if r.CA != "" {
		lines = append(lines, "Over https clients have to trust "+r.CA+": let AWS_CA_BUNDLE name it.")
	}
	if r.Verified {
		lines = append(lines, "Signatures are verified: export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a key in its file.")
	}
	if r.Open {
		lines = append(lines, "Requests are not authenticated (--auth off): whoever reaches it may do everything.")
	}
	return lines
}
