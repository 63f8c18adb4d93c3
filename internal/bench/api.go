package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/shardmill/shardmill/internal/sigv4"
)

// api sets up streams, functions and mappings over the public API. It is not on any measured path.
type api struct{ addr string }

func (a api) do(ctx context.Context, service, method, path, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	sigv4.Sign(
		req, sigv4.Digest(body), benchKey, sigv4.Scope{Region: "us-east-1", Service: service}, time.Now(),
	)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &refused{fmt.Sprintf("%s %s %s", method, path, target), resp.StatusCode, string(answer)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// refused is the error of a call that the server refused.
type refused struct {
	call   string
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("%s: HTTP %d: %s", r.call, r.status, r.body) }

func (a api) kinesis(ctx context.Context, operation string, in, out any) error {
	return a.do(ctx, "kinesis", "POST", "/", "Kinesis_20131202."+operation, in, out)
}

type object = map[string]any

func (a api) createStream(ctx context.Context, name string, shards int) error {
	return a.kinesis(ctx, "CreateStream", object{"StreamName": name, "ShardCount": shards}, nil)
}

// iterator returns a shard iterator of the type kind.
func (a api) iterator(ctx context.Context, stream string, shard int, kind string) (string, error) {
	var out struct{ ShardIterator string }
	err := a.kinesis(
		ctx, "GetShardIterator", object{"StreamName": stream, "ShardId": shardID(shard), "ShardIteratorType": kind},
		&out,
	)
	return out.ShardIterator, err
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// createFunction creates a function and waits until it is active. code holds the files of its package.
func (a api) createFunction(
	ctx context.Context, name, runtime, handler string, code map[string]string, env map[string]string,
) error {
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for member, path := range code {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: member, Method: zip.Deflate}
		h.SetMode(0o755)
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := a.do(ctx, "lambda", "POST", "/2015-03-31/functions", "", object{
		"FunctionName": name, "Runtime": runtime, "Handler": handler, "Role": "arn:aws:iam::000000000000:role/bench",
		"Timeout": 60, "MemorySize": 1024,
		"Code": object{"ZipFile": zipped.Bytes()}, "Environment": object{"Variables": env},
	}, nil); err != nil {
		return err
	}
	return a.until(ctx, "/2015-03-31/functions/"+name+"/configuration", "Active")
}

// until polls every millisecond until the resource is in the state.
func (a api) until(ctx context.Context, path, state string) error {
	limit := time.Now().Add(60 * time.Second)
	for {
		var out struct{ State, StateReason string }
		if err := a.do(ctx, "lambda", "GET", path, "", nil, &out); err != nil {
			return err
		}
		if out.State == state {
			return nil
		}
		if out.State == "Failed" || time.Now().After(limit) {
			return fmt.Errorf("%s is in state %s instead of %s: %s", path, out.State, state, out.StateReason)
		}
		time.Sleep(time.Millisecond)
	}
}

const mappings = "/2015-03-31/event-source-mappings/"

// createMapping connects a stream and a function, through filters if there are any, and waits until the mapping is
// enabled.
func (a api) createMapping(
	ctx context.Context, stream, function, from string, batch int, filters ...string,
) (uuid string, err error) {
	var out struct{ UUID string }
	in := object{
		"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/" + stream, "FunctionName": function,
		"StartingPosition": from, "BatchSize": batch,
	}
	if len(filters) > 0 {
		patterns := make([]object, len(filters))
		for i, f := range filters {
			patterns[i] = object{"Pattern": f}
		}
		in["FilterCriteria"] = object{"Filters": patterns}
	}
	err = a.do(ctx, "lambda", "POST", mappings, "", in, &out)
	if err == nil {
		err = a.until(ctx, mappings+out.UUID, "Enabled")
	}
	return out.UUID, err
}

// disable disables a mapping and waits until that is done: by then its last checkpoint is saved.
func (a api) disable(ctx context.Context, uuid string) error {
	if err := a.do(ctx, "lambda", "PUT", mappings+uuid, "", object{"Enabled": false}, nil); err != nil {
		return err
	}
	return a.until(ctx, mappings+uuid, "Disabled")
}

// deleteMapping deletes a mapping and waits until it is gone.
func (a api) deleteMapping(ctx context.Context, uuid string) error {
	if err := a.do(ctx, "lambda", "DELETE", mappings+uuid, "", nil, nil); err != nil {
		return err
	}
	err := a.until(ctx, mappings+uuid, "gone")
	if r, ok := errors.AsType[*refused](err); ok && r.status == http.StatusNotFound {
		return nil
	}
	return err
}
