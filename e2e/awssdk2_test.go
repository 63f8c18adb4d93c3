package e2e_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"
)

// Version 2 of the AWS SDK for JavaScript knows no AWS_ENDPOINT_URL. Packaged with a function as people did it, by
// whichever door the function comes in, its calls come back to the server, unless the function says where they go.
func TestCallsOfTheOldJavaScriptSDKComeBack(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev")
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createQueue(t, "jobs", nil)
	code := packagedWith(t, map[string]string{
		"whole.js": `
			const AWS = require("aws-sdk");
			exports.handler = async () => {
			  const streams = (await new AWS.Kinesis().listStreams().promise()).StreamNames;
			  const queues = (await new AWS.SQS({ apiVersion: "2012-11-05" }).listQueues().promise()).QueueUrls.length;
			  const table = { TableName: "things", AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }], KeySchema: [{ AttributeName: "id", KeyType: "HASH" }], BillingMode: "PAY_PER_REQUEST" };
			  await new AWS.DynamoDB().createTable(table).promise();
			  const documents = new AWS.DynamoDB.DocumentClient();
			  await documents.put({ TableName: "things", Item: { id: "a", n: 1 } }).promise();
			  const item = (await documents.get({ TableName: "things", Key: { id: "a" } }).promise()).Item;
			  const s3 = new AWS.S3();
			  const own = new AWS.Kinesis({ endpoint: "http://own.test" }).endpoint.host;
			  AWS.config.kinesis = { endpoint: "http://service.test" };
			  const service = new AWS.Kinesis().endpoint.host;
			  AWS.config.update({ endpoint: "http://all.test" });
			  return {
			    streams, queues, item, own, service, all: new AWS.SNS().endpoint.host, over: new AWS.SNS({ endpoint: "http://own.test" }).endpoint.host,
			    s3: s3.config.s3ForcePathStyle, url: s3.getSignedUrl("getObject", { Bucket: "b", Key: "k" }).startsWith(process.env.AWS_ENDPOINT_URL + "/b/k?"),
			  };
			};`,
		"client.js": `
			const Kinesis = require("aws-sdk/clients/kinesis"), Logs = require("aws-sdk/clients/cloudwatchlogs");
			exports.handler = async () => ({ streams: (await new Kinesis().listStreams().promise()).StreamNames, logs: new Logs().endpoint.host });`,
		"module.mjs": `
			import AWS from "aws-sdk";
			export const handler = async () => ({ streams: (await new AWS.Kinesis().listStreams().promise()).StreamNames });`,
		"nested.js":                     `exports.handler = require("lib").handler;`,
		"node_modules/lib/index.js":     `const AWS = require("aws-sdk/global"); require("aws-sdk/clients/kinesis"); exports.handler = async () => ({ streams: (await new AWS.Kinesis().listStreams().promise()).StreamNames });`,
		"node_modules/lib/package.json": `{"name": "lib", "version": "1.0.0"}`,
	})
	for handler, want := range map[string]string{
		"whole": `{"streams":["orders"],"queues":1,"item":{"id":"a","n":1},"own":"own.test","service":"service.test","all":"all.test","over":"own.test","s3":true,"url":true}`,
		// Each service may have an endpoint of its own.
		"client": `{"streams":["orders"],"logs":"logs.test"}`,
		"module": `{"streams":["orders"]}`,
		"nested": `{"streams":["orders"]}`,
	} {
		_, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: aws.String(handler), Runtime: lambdatypes.RuntimeNodejs20x,
			Handler: aws.String(handler + ".handler"), Role: aws.String(role),
			Code: &lambdatypes.FunctionCode{ZipFile: code}, Timeout: aws.Int32(60), MemorySize: aws.Int32(512),
			Environment: &lambdatypes.Environment{
				Variables: map[string]string{"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://logs.test"},
			},
		})
		if err != nil {
			t.Fatal(err)
		}

		out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(handler)})
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if err := json.Unmarshal(out.Payload, &got); err != nil {
			t.Fatalf("%s: %v: %s", handler, err, out.Payload)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s: %s", handler, diff)
		}
	}
}

// packagedWith returns a code package of the files given and the SDK with all that it needs, without what is for
// browsers and editors.
func packagedWith(t *testing.T, sources map[string]string) []byte {
	t.Helper()
	files := map[string][]byte{}
	for name, source := range sources {
		files[name] = []byte(source)
	}
	modules := absolute(t, "javascript/node_modules")
	err := filepath.WalkDir(modules, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(modules, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() &&
			(slices.Contains([]string{"@aws-sdk", "@smithy", ".bin"}, name) || strings.HasSuffix(name, "aws-sdk/dist")):
			return filepath.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(name, ".d.ts") || strings.HasSuffix(name, ".examples.json") ||
			strings.HasSuffix(name, ".md"):
			return nil
		}
		files["node_modules/"+filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return zipped(t, files)
}
