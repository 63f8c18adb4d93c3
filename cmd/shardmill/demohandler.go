package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// newDemoHandler returns the function of the demonstration: this binary as a custom runtime, speaking the Lambda
// Runtime API.
func newDemoHandler() *cobra.Command {
	return &cobra.Command{
		Use:    "demo-handler",
		Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			api := os.Getenv("AWS_LAMBDA_RUNTIME_API")
			if api == "" {
				return &failure{code: exitUsage, text: "demo-handler is a function: it runs inside shardmill demo"}
			}
			for {
				if err := handleOne(c.Context(), "http://"+api+"/2018-06-01/runtime/invocation/"); err != nil {
					if c.Context().Err() != nil || errors.Is(err, io.EOF) {
						return nil
					}
					return err
				}
			}
		},
	}
}

// handleOne takes the next invocation and answers it.
func handleOne(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"next", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	payload, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	path, answer := "/response", any(map[string]bool{"ok": true})
	if err := demoHandle(payload); err != nil {
		path, answer = "/error", map[string]string{"errorType": "PoisonError", "errorMessage": err.Error()}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	post, err := http.NewRequestWithContext(
		ctx, http.MethodPost, base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+path, bytes.NewReader(body),
	)
	if err != nil {
		return err
	}
	done, err := http.DefaultClient.Do(post)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, done.Body)
	return done.Body.Close()
}

// demoHandle fails the whole batch when it holds a poison record.
func demoHandle(payload []byte) error {
	var event struct {
		Records []struct{ Kinesis struct{ Data []byte } }
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return err
	}
	for _, r := range event.Records {
		if string(r.Kinesis.Data) == demoPoison {
			return fmt.Errorf("cannot process %q", demoPoison)
		}
		fmt.Printf("processed %s\n", r.Kinesis.Data)
	}
	return nil
}
