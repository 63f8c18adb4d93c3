package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/seed"
)

const functionsPath = "/2015-03-31/functions"

func (s *seeder) function(ctx context.Context, it *seed.Item) (string, error) {
	in := maps.Clone(it.Input)
	delete(in, "CodeUri")
	delete(in, "ReservedConcurrentExecutions") // a separate operation
	if runtime, _ := in["Runtime"].(string); in["Handler"] == nil && strings.HasPrefix(runtime, "provided") {
		in["Handler"] = "bootstrap"
	}
	if in["Role"] == nil {
		in["Role"] = "arn:aws:iam::" + seedAccount + ":role/shardmill"
	}
	zip, err := readCode(ctx, s.code(it))
	if err != nil {
		return "", it.Key("CodeUri").Errorf("packing the code of the function %s: %s", it.Name, err)
	}
	done, err := s.bringFunction(ctx, it, in, zip)
	if err != nil {
		return "", err
	}
	if reserved := it.Input["ReservedConcurrentExecutions"]; reserved != nil {
		changed, err := s.reserve(ctx, it.Name, reserved)
		if err != nil {
			return "", err
		}
		if changed && done == unchanged {
			done = updated
		}
	}
	return done, nil
}

// bringFunction creates a function, or updates its code and configuration where they differ.
func (s *seeder) bringFunction(ctx context.Context, it *seed.Item, in map[string]any, zip []byte) (string, error) {
	path := functionsPath + "/" + url.PathEscape(it.Name)
	var have map[string]any
	err := s.c.lambda(ctx, "GET", path+"/configuration", nil, &have)
	if isCode(err, fault.CodeNotFound) {
		in["Code"] = map[string]any{"ZipFile": zip}
		if err := s.c.lambda(ctx, "POST", functionsPath, in, nil); err != nil {
			return "", err
		}
		return made, s.settled(ctx, it.Name)
	}
	if err != nil {
		return "", err
	}
	arn, _ := have["FunctionArn"].(string)
	done, err := s.tag(ctx, arn, it)
	if err != nil {
		return "", err
	}
	delete(in, "Tags")
	change := map[string]any{}
	for _, key := range different(in, have) {
		if key == "Architectures" {
			return "", it.Key(
				key,
			).Errorf("the function %s is there with other Architectures, which change with its code only; delete the function, or write what it has",
				it.Name)
		}
		change[key] = in[key]
	}
	if have["CodeSha256"] != codeSum(zip) {
		done = updated
		if err := updateCode(ctx, s.c, it.Name, zip); err != nil {
			return "", err
		}
		if err := s.settled(ctx, it.Name); err != nil {
			return "", err
		}
	}
	if len(change) > 0 {
		done = updated
		if err := s.c.lambda(ctx, "PUT", path+"/configuration", change, nil); err != nil {
			return "", err
		}
	}
	return done, s.settled(ctx, it.Name)
}

// reserve sets a function's reserved concurrency, unless it has that value already.
func (s *seeder) reserve(ctx context.Context, name string, reserved any) (changed bool, err error) {
	in := map[string]any{"ReservedConcurrentExecutions": reserved}
	var have map[string]any
	if err := s.c.lambda(
		ctx, "GET", "/2019-09-30/functions/"+url.PathEscape(name)+"/concurrency", nil, &have,
	); err != nil {
		return false, err
	}
	if len(different(in, have)) == 0 {
		return false, nil
	}
	return true, s.c.lambda(ctx, "PUT", "/2017-10-31/functions/"+url.PathEscape(name)+"/concurrency", in, nil)
}

func codeSum(zip []byte) string {
	sum := sha256.Sum256(zip)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// updateCode replaces the code of a function. Invocations in flight end on the old code.
func updateCode(ctx context.Context, c *client, name string, zip []byte) error {
	return c.lambda(ctx, "PUT", functionsPath+"/"+url.PathEscape(name)+"/code", map[string]any{"ZipFile": zip}, nil)
}

// settlePatience is how long a new function may take to become ready.
const settlePatience = 30 * time.Second

// settled waits until a function is ready, and reports if it never will be: the rest of the seed may still be useful.
func (s *seeder) settled(ctx context.Context, name string) error {
	deadline := time.NewTimer(settlePatience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var have struct{ State, StateReason, LastUpdateStatus, LastUpdateStatusReason string }
		if err := s.c.lambda(
			ctx, "GET", functionsPath+"/"+url.PathEscape(name)+"/configuration", nil, &have,
		); err != nil {
			return err
		}
		switch {
		case have.State == "Failed" || have.LastUpdateStatus == "Failed":
			s.say("seed: function %s cannot run: %s", name, first(have.StateReason, have.LastUpdateStatusReason))
			return nil
		case have.State != "Pending" && have.LastUpdateStatus != "InProgress":
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("it is not ready after %s", settlePatience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
