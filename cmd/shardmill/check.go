package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/control"
)

// toolPatience is how long a tool may take to print its version.
const toolPatience = 10 * time.Second

// Versions of the AWS CLI that read AWS_ENDPOINT_URL, by major version (AWS SDKs and Tools Reference Guide,
// "Service-specific endpoints").
var endpointSince = map[int]int{1: 29, 2: 13}

// checkCLI judges the output of `aws --version`. The text says what to do if the CLI would call AWS itself instead of
// the server.
func checkCLI(answer, endpoint string) (text string, ok bool) {
	word, _, _ := strings.Cut(strings.TrimSpace(answer), " ")
	version, isCLI := strings.CutPrefix(word, "aws-cli/")
	parts := strings.Split(version, ".")
	if !isCLI || len(parts) < 2 {
		return fmt.Sprintf("aws: its version is not understood: %q", word), false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return fmt.Sprintf("aws: its version is not understood: %q", word), false
	}
	if since, known := endpointSince[major]; major < 1 || known && minor < since {
		return fmt.Sprintf("aws-cli %s is too old: it ignores AWS_ENDPOINT_URL and would talk to AWS itself. 1.29 and 2.13 are the first that read it: pip install --upgrade awscli, "+
			"or add --endpoint-url %s to every command", version, endpoint), false
	}
	return "aws-cli " + version, true
}

// checkTools returns a line for each tool on PATH, and what to do about those that will not work.
func checkTools(ctx context.Context, endpoint string) []string {
	var lines []string
	if out, err := ask(ctx, "aws", "--version"); err != nil {
		lines = append(lines, "aws: no AWS CLI on the PATH: pip install awscli")
	} else {
		text, _ := checkCLI(out, endpoint)
		lines = append(lines, text)
	}
	const probe = `import sys
try:
    import boto3
    print(sys.version.split()[0], "with boto3", boto3.__version__)
except ImportError:
    print(sys.version.split()[0], "without boto3, which handlers may import: " + sys.executable + " -m venv .venv && .venv/bin/pip install boto3, then start the server in this directory")`
	if out, err := ask(ctx, "python3", "-c", probe); err != nil {
		lines = append(lines, "python3: none on the PATH; python3.x functions need one")
	} else {
		lines = append(lines, "python3 "+strings.TrimSpace(out))
	}
	return lines
}

// untilReady waits until the server answers, for at most limit.
func (c *client) untilReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.do(ctx, "", http.MethodGet, control.PathReady, http.Header{}, nil, nil)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &failure{
				code: exitUnreachable,
				text: fmt.Sprintf("no shardmill has answered at %s within %s", c.endpoint, limit),
				hint: "start one with: shardmill dev", err: err,
			}
		}
	}
}

func ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolPatience)
	defer cancel()
	// the AWS CLI on Python 2 prints its version to standard error
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}
