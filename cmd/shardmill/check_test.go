package main

import (
	"strings"
	"testing"
)

func TestCLIThatWouldGoPastTheServerIsNamed(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"aws-cli/1.46.3 Python/3.11.7 Linux/6 botocore/1.44.8\n": "aws-cli 1.46.3",
		"aws-cli/1.29.0 Python/3.8\n":                            "aws-cli 1.29.0",
		"aws-cli/2.13.0 Python/3.11 exe/x86_64\n":                "aws-cli 2.13.0",
		"aws-cli/1.28.9 Python/3.6\n":                            "aws-cli 1.28.9 is too old: it ignores AWS_ENDPOINT_URL and would talk to AWS itself.",
		"aws-cli/2.12.7 Python/3.11\n":                           "aws-cli 2.12.7 is too old",
		"aws-cli/3.0.0 Python/3.14\n":                            "aws-cli 3.0.0",
		"bash: aws: broken\n":                                    `aws: its version is not understood: "bash:"`,
	} {
		got, ok := checkCLI(answer, "http://127.0.0.1:4566")
		if !strings.HasPrefix(got, want) || ok == strings.Contains(got, " is ") {
			t.Errorf("%q: got %q, %t", answer, got, ok)
		}
		if strings.Contains(got, "too old") &&
			!strings.HasSuffix(got, "add --endpoint-url http://127.0.0.1:4566 to every command") {
			t.Errorf("what to do is missing: %q", got)
		}
	}
}
