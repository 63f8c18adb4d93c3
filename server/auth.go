package server

import (
	"context"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
)

// gate returns what lets requests in; nil: everybody, because signatures are not verified.
func (s *Server) gate(r *rooms) *wire.Gate {
	if s.cfg.Auth == nil {
		return nil
	}
	return &wire.Gate{Now: time.Now, Find: func(accessKey string) (wire.Holder, bool) {
		if arn.IsAccount(accessKey) {
			return s.local(accessKey), true
		}
		if k, ok := s.cfg.Auth.Find(accessKey); ok {
			return wire.Holder{
				Account: k.Account, Secret: k.Secret, ARN: k.ARN, Owner: k.Name, Rights: &k.Rights,
			}, true
		}
		if h, ok := r.functions.Holding(accessKey); ok {
			return s.function(h), true
		}
		return wire.Holder{}, false
	}}
}

// watchKeys takes over what changes in the key file, until unwatchKeys.
func (s *Server) watchKeys() {
	s.unwatchKeys = func() {}
	if s.cfg.Auth == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.cfg.Auth.Watch(ctx)
	}()
	s.unwatchKeys = func() {
		cancel()
		<-ended
	}
}

// local returns the holder of the key of an account whose secret is the token of this start. Whoever can read the token
// can do everything here already; so the commands of the server's own user, and its seed, need no key in the file.
func (s *Server) local(account string) wire.Holder {
	return wire.Holder{Account: account, Secret: s.token, ARN: "arn:aws:iam::" + account + ":root"}
}

// function returns the holder of a key that was issued to a function. It may do what whoever said last what the
// function does may do now; if that was before signatures were verified, what Operate may. A function whose owner has
// no key any more may do nothing.
func (s *Server) function(h function.Holding) wire.Holder {
	out := wire.Holder{
		Account: h.Ref.Account, Secret: h.Secret, Session: h.Token, Owner: h.Owner,
		ARN:    "arn:aws:sts::" + h.Ref.Account + ":assumed-role/" + roleName(h.Role) + "/" + h.Ref.Name,
		Rights: unowned, Clock: s.clock.Now,
	}
	if h.Owner == "" {
		return out
	}
	out.Rights = nobody
	if k, ok := s.cfg.Auth.Named(h.Owner); ok && k.Account == h.Ref.Account {
		out.Rights = &k.Rights
	}
	return out
}

var (
	unowned = &auth.Rights{Role: auth.Operate}
	nobody  = &auth.Rights{}
)

// roleName returns the last part of a role's ARN.
func roleName(role string) string {
	a, _ := arn.Parse(role)
	return a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
}
