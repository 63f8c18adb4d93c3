package e2e_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var everyClient = flag.Bool("clients", false, "run the clients that take too long, or fetch too much, for every run")

// byHand skips a test that only make clients runs.
func byHand(t *testing.T) {
	t.Helper()
	if !*everyClient {
		t.Skip("by hand: make clients")
	}
}

// jvm returns the command that runs a program of e2e/java/<folder>, with settings of Java first. The compiler that only
// optimises what runs for long is left out, since nothing here does.
func jvm(t *testing.T, folder string, settings []string, program string, args ...string) (name string, argv []string) {
	t.Helper()
	out := absolute(t, filepath.Join("java", folder, "out"))
	classes, err := os.ReadFile(filepath.Join(out, "classpath"))
	if err != nil {
		t.Fatalf("%v; run: make e2e/java/%s/out/.compiled", err, folder)
	}
	argv = append([]string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
	}, settings...)
	argv = append(argv, "-cp", out+string(os.PathListSeparator)+strings.TrimSpace(string(classes)), program)
	return "java", append(argv, args...)
}

// javaSDKPrints is what Sdk.java prints.
const javaSDKPrints = `shard: shardId-000000000000
failed: 0
bytes kept: true
keys kept: true
arrived: true
absent: 400 ResourceNotFoundException Stream absent under account 000000000000 not found. true
forged: Invalid ShardIterator.
seen: 204
pushed: true
cause: ResourceNotFoundException
`

// W-01, W-02: AWS's SDK for Java 2 as it is installed, in CBOR over HTTP/1.1 from its client that blocks and over
// HTTP/2 without TLS from the one that does not, sees what it sees in JSON, and is sent as many records by
// SubscribeToShard.
func TestJavaSDK(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"application/x-amz-cbor-1.1": nil, "application/x-amz-json-1.1": {"-Daws.cborEnabled=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := start(t, newHome(t), "dev").recorded(t)

			java, args := jvm(t, "kcl3", settings, "Sdk")
			stdout, stderr, err := s.command(t, java, args...)

			if err != nil || stdout != javaSDKPrints {
				t.Errorf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
			}
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
				if !r.spoke(version + " " + name) {
					t.Errorf("nothing came in %s over %s", name, version)
				}
			}
			r.listed(t, "AWS SDK for Java 2")
		})
	}
}

// W-02: both clients of the SDK for Java 2 do the same over TLS. The one that does not block speaks HTTP/2 there
// without asking, as it is installed; or it asks in the handshake, and would give up if the server did not agree.
func TestJavaSDKOverTLS(t *testing.T) {
	byHand(t)
	t.Parallel()
	for name, setting := range map[string]string{
		"without asking": "-Dalpn=false", "by agreement": "-Dalpn=true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			s := start(t, h, "dev", "--tls-self-signed="+h.path("tls"))
			const password = "changeit"
			trust := h.path("trust.p12")
			if _, stderr, err := s.command(
				t, "keytool", "-importcert", "-noprompt", "-alias", "shardmill", "-file", h.path("tls/ca.pem"),
				"-keystore", trust, "-storetype", "PKCS12", "-storepass", password,
			); err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}

			java, args := jvm(t, "kcl3", []string{
				setting, "-Djavax.net.ssl.trustStore=" + trust, "-Djavax.net.ssl.trustStorePassword=" + password,
			}, "Sdk")
			stdout, stderr, err := s.command(t, java, args...)

			if err != nil || stdout != javaSDKPrints {
				t.Errorf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
			}
		})
	}
}
