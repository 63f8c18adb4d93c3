package e2e_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/shardmill/shardmill/internal/eventually"
)

// startOn starts a server on a host. It is not reached from here.
func startOn(t *testing.T, host []string, h home, args ...string) *server {
	t.Helper()
	ready := h.path("ready.json")
	s := &server{home: h}
	name, args := on(host, shardmill(t), append(args, "--ready-file", ready, "--min-free", "64MiB")...)
	s.process = launch(t, h, nil, name, args...)
	eventually.Reaches(t, "the ready file", func() (bool, string) {
		if !s.running() {
			t.Fatalf("the server ended with %s:\n%s", s.cmd.ProcessState, s.stderr.String())
		}
		b, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(b, s) == nil, s.stderr.String()
	})
	return s
}

// key is an access key, as auth new prints it.
type key struct{ id, secret string }

// newKey makes a key of a role in a file.
func newKey(t *testing.T, h home, file, name, role string) key {
	t.Helper()
	s := &server{home: h}
	out, errs, err := s.command(t, shardmill(t), "auth", "new", name, "--role", role, "--file", file)
	if err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	value := func(name string) string {
		m := regexp.MustCompile(`(?m)^export ` + name + `=(.+)$`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("auth new printed no %s: %s", name, out)
		}
		return strings.Trim(m[1], "'")
	}
	return key{value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")}
}

// elsewhere runs a program on the client's host with a key.
func (s *server) elsewhere(
	t *testing.T, host []string, k key, more []string, name string, args ...string,
) (string, error) {
	t.Helper()
	env := append([]string{
		"env", "AWS_ACCESS_KEY_ID=" + k.id, "AWS_SECRET_ACCESS_KEY=" + k.secret, "AWS_MAX_ATTEMPTS=1", "NODE_NO_WARNINGS=1",
	}, more...)
	name, args = on(host, env[0], append(append(env[1:], name), args...)...)
	out, errs, err := s.command(t, name, args...)
	return out + errs, err
}

// What is done from the other host, first with one key, then with each of those that WRONG has, printing how it goes.
const (
	boto3Remote = `
import boto3, json, os
from botocore.exceptions import ClientError
k = boto3.client("kinesis")
k.put_record(StreamName="orders", PartitionKey="k", Data=b"from boto3")
it = k.get_shard_iterator(StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
print([r["Data"].decode() for r in k.get_records(ShardIterator=it)["Records"]])
sqs = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
url = sqs.create_queue(QueueName="q")["QueueUrl"]
sqs.send_message(QueueUrl=url, MessageBody="hello")
print(url, sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
for id, secret in json.loads(os.environ["WRONG"]):
    try:
        boto3.client("kinesis", aws_access_key_id=id, aws_secret_access_key=secret).put_record(StreamName="orders", PartitionKey="k", Data=b"wrong")
        print("served")
    except ClientError as e:
        print(e.response["Error"]["Code"])
`
	javaScriptRemote = `
import { KinesisClient, PutRecordCommand, ListStreamsCommand } from "@aws-sdk/client-kinesis";
const put = (k, text) => k.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "k", Data: Buffer.from(text) }));
const k = new KinesisClient();
await put(k, "from node");
console.log((await k.send(new ListStreamsCommand({}))).StreamNames.join());
k.destroy();
for (const [accessKeyId, secretAccessKey] of JSON.parse(process.env.WRONG)) {
  const k = new KinesisClient({ maxAttempts: 1, credentials: { accessKeyId, secretAccessKey } });
  console.log(await put(k, "wrong").then(() => "served", (e) => e.name));
  k.destroy();
}
`
)

// A server on an address of its own is used from another host: by the AWS CLI, boto3 and JavaScript, which speaks
// HTTP/2, with the keys of the file, plain and over TLS. Without a key, with a wrong secret or with a role that may
// not, each is refused in the words that its SDK knows. URLs in answers lead back to where the client has called.
// W-02: JavaScript's default client "succeeds without a custom request handler".
func TestFromAnotherHost(t *testing.T) {
	t.Parallel()
	n := twoHosts(t)
	for name, tls := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			file := h.path("keys.yaml")
			admin, viewer := newKey(t, h, file, "alice", "admin"), newKey(t, h, file, "bob", "view")
			port, scheme := "4566", "http"
			args := []string{"serve", "--data", h.path("data"), "--auth", "static:" + file}
			var trusting []string
			if tls {
				port, scheme = "4567", "https"
				args = append(args, "--tls-self-signed="+h.path("tls"))
				ca := h.path("tls/ca.pem")
				trusting = []string{"AWS_CA_BUNDLE=" + ca, "NODE_EXTRA_CA_CERTS=" + ca}
			}
			s := startOn(t, n.server, h, append(args, "--listen", serverHost+":"+port)...)
			if want := scheme + "://" + serverHost + ":" + port; s.Endpoint != want {
				t.Fatalf("it listens on %s, want %s", s.Endpoint, want)
			}
			aws, python := venv(t, "aws"), venv(t, "python3")
			program := h.path("work/remote.mjs") // beside the packages that it imports
			if err := os.WriteFile(program, []byte(javaScriptRemote), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(absolute(t, "javascript/node_modules"), h.path("work/node_modules")); err != nil {
				t.Fatal(err)
			}

			wrong, unknown := key{admin.id, strings.Repeat("x", 40)}, key{"AKIAUNKNOWNUNKNOWN00", admin.secret}
			keys, err := json.Marshal([][2]string{
				{wrong.id, wrong.secret}, {unknown.id, unknown.secret}, {viewer.id, viewer.secret},
			})
			if err != nil {
				t.Fatal(err)
			}
			const refusals = "InvalidSignatureException\nUnrecognizedClientException\nAccessDeniedException\n"
			run := func(k key, name string, args ...string) string {
				out, err := s.elsewhere(t, n.client, k, append(trusting, "WRONG="+string(keys)), name, args...)
				if err != nil {
					out += err.Error() // what follows expects another output
				}
				return out
			}

			out := run(admin, aws, "kinesis", "create-stream", "--stream-name", "orders", "--shard-count", "1")
			if out != "" {
				t.Fatalf("the AWS CLI: %s", out)
			}
			want := "['from boto3']\n" + s.Endpoint + "/000000000000/q hello\n" + refusals
			if out := run(admin, python, "-c", boto3Remote); out != want {
				t.Errorf("boto3: %s, want %s", out, want)
			}
			if out := run(admin, "node", program); out != "orders\n"+refusals {
				t.Errorf("JavaScript: %s", out)
			}
			out = run(viewer, shardmill(t), "tail", "orders", "--from", "start", "--follow=false")
			if !strings.Contains(out, "AccessDenied") {
				t.Errorf("tail of a viewer: %s", out)
			}
			out = run(admin, shardmill(t), "tail", "orders", "--from", "start", "--follow=false")
			if strings.Count(out, "from ") != 2 || strings.Contains(out, "wrong") {
				t.Errorf("tail: %s", out)
			}
			if out := run(admin, shardmill(t), "health"); out != "ready\n" {
				t.Errorf("health: %s", out)
			}
			if !tls {
				out := run(wrong, aws, "kinesis", "list-streams")
				if !strings.Contains(out, "(InvalidSignatureException)") {
					t.Errorf("the AWS CLI with a wrong secret: %s", out)
				}
				out = run(admin, aws, "kinesis", "list-streams", "--no-sign-request")
				if !strings.Contains(out, "(MissingAuthenticationTokenException)") {
					t.Errorf("the AWS CLI without a key: %s", out)
				}
				return
			}
			plain := "http://" + serverHost + ":" + port
			if out := run(admin, shardmill(t), "health", "--endpoint", plain); !strings.Contains(out, "https://") {
				t.Errorf("plain from another host: %s", out)
			}
			trusting = nil
			if out := run(admin, shardmill(t), "health"); !strings.Contains(out, "AWS_CA_BUNDLE") {
				t.Errorf("without the certificate: %s", out)
			}
		})
	}
}

// What compose.yaml runs serves another host that calls it by the name of its container, and by no other name.
func TestWhatComposeRuns(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct{ Command []string }
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	n, h := twoHosts(t), newHome(t)
	args := compose.Services["shardmill"].Command
	if at := slices.Index(args, "/data"); at >= 0 {
		args[at] = h.path("data")
	}
	startOn(t, n.server, h, args...)
	for host, want := range map[string]string{"shardmill:4566": "True", "evil.example:4566": "421"} {
		const get = `import sys, urllib.request, urllib.error
try:
    r = urllib.request.Request(sys.argv[1] + "/_shardmill/health/ready", headers={"Host": sys.argv[2]})
    print(b"true" in urllib.request.urlopen(r, timeout=20).read())
except urllib.error.HTTPError as e:
    print(e.code)`
		s := &server{home: h}
		name, args := on(n.client, venv(t, "python3"), "-c", get, "http://"+serverHost+":4566", host)
		if out, errs, err := s.command(t, name, args...); err != nil || out != want+"\n" {
			t.Errorf("%s: %v: %s%s", host, err, out, errs)
		}
	}
}
