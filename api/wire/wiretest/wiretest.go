// Package wiretest is what tests of the shared port need: what a web page can send to each service and how to see
// whether any of it had an effect, whether a page of docs/compat agrees with a service's model, a service whose
// operation streams.
package wiretest

import (
	"regexp"
	"strings"
)

// Act is a request that changes something, if it is served.
type Act struct{ Method, Path, ContentType, Body string }

// Acts are, by the name of a service, what a page can send to each service without a preflight: images, links and
// frames (GET), and forms and beacons (POST) of the three types of forms. Every service of the table must be here.
var Acts = map[string][]Act{
	"kinesis": {
		{"POST", "/", "text/plain", `{"StreamName":"page","ShardCount":1}`},
		{"POST", "/?X-Amz-Target=Kinesis_20131202.CreateStream", "text/plain", `{"StreamName":"page","ShardCount":1}`},
		{"GET", "/?Action=CreateStream&StreamName=page&ShardCount=1&Version=2013-12-02", "", ""},
		{
			"POST", "/", "application/x-www-form-urlencoded",
			"Action=CreateStream&StreamName=page&ShardCount=1&Version=2013-12-02",
		},
	},
	"lambda": {
		{"POST", "/2015-03-31/functions", "text/plain", `{"FunctionName":"page"}`},
		{"POST", "/2015-03-31/functions/victim/invocations", "text/plain", `{}`},
		{"GET", "/2015-03-31/functions/victim", "", ""},
		{"POST", "/2015-03-31/event-source-mappings", "application/x-www-form-urlencoded", `{"FunctionName":"victim"}`},
	},
	"sqs": {
		{"GET", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "", ""},
		{"HEAD", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=CreateQueue&QueueName=page&Version=2012-11-05"},
		{"POST", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "text/plain", "x"},
		{"POST", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "multipart/form-data; boundary=x", "--x--"},
		{"GET", "/000000000000/victim?Action=DeleteQueue", "", ""},
		{"POST", "/000000000000/victim", "application/x-www-form-urlencoded", "Action=DeleteQueue"},
		{
			"GET",
			"/000000000000/victim?Action=DeleteQueue&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/sqs/aws4_request&X-Amz-Signature=0",
			"", "",
		},
		{"POST", "/", "text/plain", `{"QueueName":"page"}`},
	},
	"sns": {
		{"GET", "/?Action=CreateTopic&Name=page&Version=2010-03-31", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=CreateTopic&Name=page&Version=2010-03-31"},
		{"POST", "/?Action=CreateTopic&Name=page&Version=2010-03-31", "text/plain", "x"},
		{
			"GET",
			"/?Action=DeleteTopic&TopicArn=arn:aws:sns:us-east-1:000000000000:victim&Version=2010-03-31&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/sns/aws4_request&X-Amz-Signature=0",
			"", "",
		},
	},
	"dynamodb": {
		{
			"POST", "/", "text/plain",
			`{"TableName":"page","AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`,
		},
		{
			"GET",
			"/?Action=CreateTable&TableName=page&Version=2012-08-10&X-Amz-Credential=k/20260101/us-east-1/dynamodb/aws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256",
			"", "",
		},
	},
	"s3": {
		{"GET", "/victim?list-type=2", "", ""},
		{"GET", "/victim/k", "", ""},
		{
			"GET",
			"/victim/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=0",
			"", "",
		},
		{"POST", "/victim?delete", "text/plain", "<Delete><Object><Key>k</Key></Object></Delete>"},
		{
			"POST",
			"/victim?delete&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=0",
			"text/plain", "<Delete><Object><Key>k</Key></Object></Delete>",
		},
		{"POST", "/victim", "multipart/form-data; boundary=x", "--x--"},
		{"POST", "/victim/page?uploads", "application/x-www-form-urlencoded", ""},
	},
	"monitoring": {
		{
			"GET",
			"/?Action=PutMetricData&Version=2010-08-01&Namespace=page&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1",
			"", "",
		},
		{
			"POST", "/", "application/x-www-form-urlencoded",
			"Action=PutMetricData&Version=2010-08-01&Namespace=page&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1",
		},
		{"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "text/plain", "\xa1iNamespacedpage"},
	},
	"logs": {
		{"POST", "/", "text/plain", `{"logGroupName":"page"}`},
		{
			"POST",
			"/?Action=CreateLogGroup&logGroupName=page&Version=2014-03-28&X-Amz-Credential=k/20260101/us-east-1/logs/aws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256",
			"text/plain", `{"logGroupName":"page"}`,
		},
	},
	"iam": {
		{
			"GET",
			"/?Action=CreateRole&Version=2010-05-08&RoleName=page&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D",
			"", "",
		},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=DeleteRole&Version=2010-05-08&RoleName=victim"},
		{"POST", "/?Action=DeleteRole&Version=2010-05-08&RoleName=victim", "text/plain", "x"},
	},
	"sts": {
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", ""},
		{
			"GET",
			"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/sts/aws4_request&X-Amz-Signature=0",
			"", "",
		},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=GetCallerIdentity&Version=2011-06-15"},
	},
}

// Call is a request as an AWS client sends it.
type Call struct {
	Service, Target string
	Method, Path    string
	ContentType     string
	Body            string
}

// Header returns the headers of a call; the signature is not a real one.
func (c Call) Header() map[string]string {
	h := map[string]string{
		"Authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/" + c.Service +
			"/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
		"X-Amz-Date": "20260101T000000Z", "Content-Type": c.ContentType,
	}
	if c.Target != "" {
		h["X-Amz-Target"] = c.Target
	}
	return h
}

const (
	form = "application/x-www-form-urlencoded"
	json = "application/x-amz-json-1.1"
)

// roleDocument lets Lambda assume a role, percent-encoded.
const roleDocument = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"

// Victims make what the acts would take away.
var Victims = []Call{
	{"s3", "", "PUT", "/victim", "", ""},
	{"s3", "", "PUT", "/victim/k", "", "v"},
	{"sqs", "", "POST", "/", form, "Action=CreateQueue&Version=2012-11-05&QueueName=victim"},
	{"sns", "", "POST", "/", form, "Action=CreateTopic&Version=2010-03-31&Name=victim"},
	{
		"iam", "", "POST", "/", form,
		"Action=CreateRole&Version=2010-05-08&RoleName=victim&AssumeRolePolicyDocument=" + roleDocument,
	},
}

// Holdings are calls whose answers together show everything that clients have created.
var Holdings = []Call{
	{"kinesis", "Kinesis_20131202.ListStreams", "POST", "/", json, "{}"},
	{"dynamodb", "DynamoDB_20120810.ListTables", "POST", "/", json, "{}"},
	{"logs", "Logs_20140328.DescribeLogGroups", "POST", "/", json, "{}"},
	{"monitoring", "GraniteServiceVersion20100801.ListMetrics", "POST", "/", json, `{"Namespace":"page"}`},
	{"lambda", "", "GET", "/2015-03-31/functions", "", ""},
	{"lambda", "", "GET", "/2015-03-31/event-source-mappings", "", ""},
	{"sqs", "", "POST", "/", form, "Action=ListQueues&Version=2012-11-05"},
	{"sns", "", "POST", "/", form, "Action=ListTopics&Version=2010-03-31"},
	{"iam", "", "POST", "/", form, "Action=ListRoles&Version=2010-05-08"},
	{"s3", "", "GET", "/", "", ""},
	{"s3", "", "GET", "/victim?list-type=2", "", ""},
	{"s3", "", "GET", "/victim?uploads", "", ""},
}

var requestID = regexp.MustCompile("<RequestId>[^<]*</RequestId>")

// Seen joins the answers to Holdings without the parts that vary from call to call.
func Seen(answers []string) string {
	return requestID.ReplaceAllString(strings.Join(answers, "\n"), "")
}
