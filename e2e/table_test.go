package e2e_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/shardmill/shardmill/internal/eventually"
)

// createPython makes a function of one file of testdata, whose handler is called handler.
func (c clients) createPython(t *testing.T, name, file string, environment map[string]string) {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(file)
	if err == nil {
		_, err = w.Write(code)
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		_, err = c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: &name, Runtime: lambdatypes.RuntimePython312,
			Handler: aws.String(strings.TrimSuffix(file, ".py") + ".handler"), Role: aws.String(role),
			Code: &lambdatypes.FunctionCode{ZipFile: b.Bytes()}, Timeout: aws.Int32(60),
			Environment: &lambdatypes.Environment{Variables: environment},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// F-66: three records put become three items. A function whose table is missing fails, and its log says why. The AWS
// CLI's waiters pass on the way, and what was written is there after kill -9.
func TestAFunctionWritesItsRecordsIntoATable(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	data := h.path("data")
	s := start(t, h, "dev", "--data", data, "--python", venv(t, "python3"))
	c, cli := s.clients(), cli{s, t}
	cli.run("dynamodb", "create-table", "--table-name", "events", "--billing-mode", "PAY_PER_REQUEST",
		"--attribute-definitions", "AttributeName=eventId,AttributeType=S", "--key-schema",
		"AttributeName=eventId,KeyType=HASH")
	cli.run("dynamodb", "wait", "table-exists", "--table-name", "events")
	c.createStream(t, "events", 1)
	c.createPython(t, "events", "events.py", map[string]string{"TABLE_NAME": "events"})
	for i := range 3 {
		c.put(t, "events", fmt.Sprint("key-", i), fmt.Sprint("payload ", i))
	}
	c.createMapping(t, "events", lambda.CreateEventSourceMappingInput{})
	count := func() string { return cli.query("Count", "dynamodb", "scan", "--table-name", "events") }

	eventually.Reaches(t, "three items", func() (bool, string) { n := count(); return n == "3", n })

	c.createPython(t, "missing", "events.py", map[string]string{"TABLE_NAME": "missing"})
	out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("missing"), Payload: []byte(`{"Records":[{"eventID":"1","kinesis":{"data":"YQ=="}}]}`),
	})
	if err != nil || out.FunctionError == nil || !strings.Contains(string(out.Payload), "ResourceNotFoundException") {
		t.Errorf("a missing table: %s %v", out.Payload, err)
	}
	if stdout, _, err := s.command(t, shardmill(t), "logs", "missing"); err != nil ||
		!strings.Contains(stdout, "ResourceNotFoundException") {
		t.Errorf("the log: %v %s", err, stdout)
	}

	s.kill()
	s = start(t, h, "dev", "--data", data)
	cli.s = s
	if n := count(); n != "3" {
		t.Errorf("%s items after kill -9", n)
	}
	cli.run("dynamodb", "delete-table", "--table-name", "events")
	cli.run("dynamodb", "wait", "table-not-exists", "--table-name", "events")
}
