package main

import (
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/sigv4"
	"github.com/shardmill/shardmill/server"
)

// openKeys reads the key file that --auth static:FILE names.
func openKeys(c *cobra.Command, setting string, cfg *server.Config) (err error) {
	path, ok := strings.CutPrefix(setting, "static:")
	if !ok || path == "" {
		return usage(c, "--auth %s is neither static:FILE nor off", setting)
	}
	if cfg.Auth, err = auth.Open(path, cfg.Log.With("room", "auth")); err == nil {
		return nil
	}
	return authFailure(err, path)
}

// reloadOnHangup reads the keys again at each SIGHUP, until it is stopped. Without keys the signal ends the process, as
// it does by default.
func reloadOnHangup(keys *auth.Keys) (stop func()) {
	if keys == nil {
		return func() {}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangups:
				keys.ReloadAndSay()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(ended)
	}
}

// keyFromEnvironment returns the key that AWS's clients would sign with in this shell; the zero value if there is none,
// or only an account in the place of one.
func keyFromEnvironment() sigv4.Key {
	k := sigv4.Key{
		ID: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		Session: os.Getenv("AWS_SESSION_TOKEN"),
	}
	if k.ID == "" || k.Secret == "" || arn.IsAccount(k.ID) {
		return sigv4.Key{}
	}
	return k
}

// anySecret stands for a secret where nobody verifies signatures.
const anySecret = "shardmill"

// signer returns the key that requests are signed with: that of the environment, else that of the account, whose secret
// is the server's token. A server that does not verify signatures takes any secret.
func (c *client) signer() sigv4.Key {
	if c.given.ID != "" {
		return c.given
	}
	c.own.once.Do(func() {
		if c.own.secret != "" {
			return
		}
		c.own.secret = anySecret
		if token, err := c.token(); err == nil {
			c.own.secret = token
		}
	})
	return sigv4.Key{ID: c.account, Secret: c.own.secret}
}

// ownSecret is the secret of the key of an account; "": it is looked for once.
type ownSecret struct {
	once   sync.Once
	secret string
}

// controller returns with what requests of the control API prove who sends them: the server's token, or a signature of
// the key of the environment where the token is not at hand.
func (c *client) controller() (service string, h http.Header, err error) {
	token, err := c.token()
	switch {
	case err == nil:
		return "", http.Header{"Authorization": {"Bearer " + token}}, nil
	case c.given.ID != "":
		return wire.ControlAPI, http.Header{}, nil
	}
	return "", nil, err
}
