package wire

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

type keys map[string]string

func (k keys) Resolve(key string) (account string, ok bool) {
	account, ok = k[key]
	return account, ok
}

// The caller is read from the header or the presigned query, in every form that clients write; if that fails it is the
// default caller.
func TestCallerOfARequest(t *testing.T) {
	t.Parallel()
	issued := keys{"SMILL123": "111122223333"}
	const signed = "AWS4-HMAC-SHA256 Credential="
	for name, c := range map[string]struct {
		header, query string
		want          Caller
	}{
		"nothing": {"", "", Caller{Account: DefaultAccount, Region: DefaultRegion}},
		"a header with commas": {
			signed + "AKID/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host, Signature=0", "",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "kinesis", AccessKey: "AKID", Signed: true},
		},
		"a header with spaces": {
			signed + "AKID/20260101/eu-west-1/sqs/aws4_request SignedHeaders=host Signature=0", "",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "sqs", AccessKey: "AKID", Signed: true},
		},
		"the credential last": {
			"AWS4-HMAC-SHA256 SignedHeaders=host,Signature=0,Credential=AKID/20260101/eu-west-1/sqs/aws4_request", "",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "sqs", AccessKey: "AKID", Signed: true},
		},
		"an account as key": {
			signed + "123456789012/20260101/us-east-1/lambda/aws4_request,", "",
			Caller{
				Account: "123456789012", Region: "us-east-1", Service: "lambda", AccessKey: "123456789012",
				Signed: true,
			},
		},
		"eleven digits": {
			signed + "12345678901/20260101/us-east-1/lambda/aws4_request,", "",
			Caller{
				Account: DefaultAccount, Region: "us-east-1", Service: "lambda", AccessKey: "12345678901", Signed: true,
			},
		},
		"digits of another script": {
			signed + "１２３４５６７８９０１２/20260101/us-east-1/lambda/aws4_request", "",
			Caller{
				Account: DefaultAccount, Region: "us-east-1", Service: "lambda", AccessKey: "１２３４５６７８９０１２",
				Signed: true,
			},
		},
		"a key that we issued, to a function that calls another region": {
			signed + "SMILL123/20260101/ap-south-1/sqs/aws4_request", "",
			Caller{
				Account: "111122223333", Region: "ap-south-1", Service: "sqs", AccessKey: "SMILL123", Signed: true,
				Issued: true,
			},
		},
		"several credentials": {
			signed + "A/20260101/us-east-1/sqs/aws4_request Credential=AKID/20260101/eu-west-1/sqs/aws4_request", "",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "sqs", AccessKey: "AKID", Signed: true},
		},
		"presigned": {
			"",
			"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=123456789012%2F20260101%2Feu-west-1%2Fkinesis%2Faws4_request",
			Caller{
				Account: "123456789012", Region: "eu-west-1", Service: "kinesis", AccessKey: "123456789012",
				Signed: true,
			},
		},
		"presigned without how": {
			"", "X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fkinesis%2Faws4_request",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "kinesis", AccessKey: "AKID"},
		},
		"presigned by nobody": {
			"", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=",
			Caller{Account: DefaultAccount, Region: DefaultRegion},
		},
		"a name that looks like it": {"", "q=X-Amz-Credential", Caller{Account: DefaultAccount, Region: DefaultRegion}},
		"the header wins": {
			signed + "AKID/20260101/eu-west-1/sqs/aws4_request",
			"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=B%2F1%2Fx%2Fy%2Fz",
			Caller{Account: DefaultAccount, Region: "eu-west-1", Service: "sqs", AccessKey: "AKID", Signed: true},
		},
		"a scope without a region": {
			signed + "AKID/20260101//sqs/aws4_request", "",
			Caller{Account: DefaultAccount, Region: DefaultRegion, Service: "sqs", AccessKey: "AKID", Signed: true},
		},
		"half a scope": {
			signed + "AKID/20260101", "",
			Caller{Account: DefaultAccount, Region: DefaultRegion, AccessKey: "AKID", Signed: true},
		},
		"no credential": {
			"AWS4-HMAC-SHA256 SignedHeaders=host", "",
			Caller{Account: DefaultAccount, Region: DefaultRegion, Signed: true},
		},
		"another scheme": {
			"Bearer AWS4-HMAC-SHA256 Credential=AKID/1/2/3/4", "",
			Caller{Account: DefaultAccount, Region: DefaultRegion},
		},
		"a longer scheme": {
			"AWS4-HMAC-SHA256X Credential=AKID/1/2/3/4", "", Caller{Account: DefaultAccount, Region: DefaultRegion},
		},
		"the older scheme": {"AWS AKID:signature", "", Caller{Account: DefaultAccount, Region: DefaultRegion}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/?"+c.query, nil)
			r.Host = "127.0.0.1:4566"
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			got := ReadCaller(r, issued)
			if len(got.RequestID) != 36 || got.Endpoint != "http://127.0.0.1:4566" {
				t.Errorf("request id %q, endpoint %q", got.RequestID, got.Endpoint)
			}
			got.RequestID, got.Endpoint = "", ""
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Whatever clients send, there is a caller with an account, and only a request with a signature counts as signed.
func FuzzReadCaller(f *testing.F) {
	f.Add(
		"AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host, Signature=0", "",
	)
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2FB%2FC%2FD")
	f.Add("AWS4-HMAC-SHA256 Credential=////,Credential=,", "X-Amz-Credential=%zz;X-Amz-Credential")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{
			Method: "POST", Host: "localhost", URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{"Authorization": {header}},
		}
		c := ReadCaller(r, nil)
		if !IsAccount(c.Account) || c.Region == "" || strings.Contains(c.Service, "/") {
			t.Fatalf("%+v", c)
		}
		if c.Signed && !strings.HasPrefix(header, "AWS4-HMAC-SHA256") && !strings.Contains(query, "X-Amz-Credential=") {
			t.Fatalf("%q and %q count as signed", header, query)
		}
	})
}
