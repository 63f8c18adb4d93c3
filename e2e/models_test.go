package e2e_test

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// serviceModel is what botocore knows of a service.
type serviceModel struct {
	Metadata struct {
		APIVersion, JSONVersion, TargetPrefix, Protocol, SigningName, EndpointPrefix string
	}
	Operations map[string]struct {
		HTTP struct{ Method, RequestURI string }
	}
}

func readModel(t *testing.T, service string) (m serviceModel) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(
		filepath.Dir(filepath.Dir(venv(t, "python3"))), "lib", "python3.*", "site-packages", "botocore", "data",
		service, "*", "service-2.json.gz",
	))
	if err != nil || len(found) == 0 {
		t.Fatalf("botocore has no model of %s: %v", service, err)
	}
	f, err := os.Open(found[len(found)-1]) // directories are named by date
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What the model of the pinned SDK has, and we do not, is refused by name, with 501: an answer as to a mistyped
// operation would hide that something is missing. It fails when AWS has got new operations: give them to the model of
// the service and to its page in docs/compat.
func TestEveryOperationOfTheSDKsModelIsKnown(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	client := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(client.CloseIdleConnections)
	parameter := regexp.MustCompile(`\{[^}]+\}`)
	unknown := regexp.MustCompile(`UnknownOperation|InvalidAction|Could not find operation|has no operation`)
	services := []string{"kinesis", "lambda", "dynamodb", "sqs", "sns", "logs", "cloudwatch", "iam", "sts"}
	for _, service := range services {
		m := readModel(t, service)
		name := m.Metadata.SigningName
		if name == "" {
			name = m.Metadata.EndpointPrefix
		}
		for op, how := range m.Operations {
			method, path, body := http.MethodPost, "/", "{}"
			head := map[string]string{
				"Authorization": strings.Replace(signature, "/kinesis/", "/"+name+"/", 1), "X-Amz-Date": "20260101T000000Z",
			}
			switch m.Metadata.Protocol {
			case "json":
				head["X-Amz-Target"] = m.Metadata.TargetPrefix + "." + op
				head["Content-Type"] = "application/x-amz-json-" + m.Metadata.JSONVersion
			case "rest-json":
				method, path = how.HTTP.Method, parameter.ReplaceAllString(how.HTTP.RequestURI, "x")
			default:
				head["Content-Type"] = "application/x-www-form-urlencoded"
				body = "Action=" + op + "&Version=" + m.Metadata.APIVersion
			}

			got := send(t, client, method, s.Endpoint+path, body, head)

			if unknown.MatchString(got.body) || got.status >= 500 && got.status != 501 {
				t.Errorf("%s %s: %d %s", service, op, got.status, got.body)
			}
		}
	}
}
