package sigv4

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A signature counts from a quarter of an hour before its time until its end, both included, whatever part of a second
// the clock shows beyond that; a presigned one lives as long as it says, which is a week at most, and is not younger
// for that.
func TestTheTimeOfASignatureHasTwoEnds(t *testing.T) {
	t.Parallel()
	now := time.Date(2015, 8, 30, 13, 0, 0, 999_999_999, time.UTC)
	const scope = "AKIDEXAMPLE/20150830/us-east-1/kinesis/aws4_request"
	for _, c := range []struct {
		date, expires string // expires "": it is in the header
		why           Reason
		counts        bool
	}{
		{"20150830T124500Z", "", 0, true},
		{"20150830T124459Z", "", Late, false},
		{"20150830T131500Z", "", 0, true},
		{"20150830T131501Z", "", Early, false},
		{"20150830T125900Z", "60", 0, true},
		{"20150830T125859Z", "60", Late, false},
		{"20150830T124459Z", "901", 0, true},
		{"20150830T131500Z", "604800", 0, true},
		{"20150830T131501Z", "604800", Early, false},
		{"20150830T130000Z", "0", 0, true},
		{"20150830T125959Z", "0", Late, false},
		{"20150830T130000Z", "604801", Incomplete, false},
		{"20150830T130000Z", "-1", Incomplete, false},
		{"20150830T130000Z", "1.5", Incomplete, false},
		{"20150830T130000Z", "99999999999999999999", Incomplete, false},
	} {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Header: http.Header{}}
		if c.expires != "" {
			r.URL.RawQuery = presigned(scope, c.date, c.expires)
		} else {
			r.Header.Set("X-Amz-Date", c.date)
			r.Header.Set("Authorization", Algorithm+" Credential="+scope+", SignedHeaders=host, Signature=ab")
		}
		g, err := Read(r, Claims{}, false)
		if err == nil {
			err = g.Check(r, "kinesis", now)
		}
		var refused *Refusal
		if c.counts && err != nil || !c.counts && (!errors.As(err, &refused) || refused.Why != c.why) {
			t.Errorf("of %s for %q seconds: %v", c.date, c.expires, err)
		}
	}
}

// Of a request to S3 every header that begins with x-amz- is signed, but for its date, and that may be so for no other
// service: there it is the target alone, also of a presigned request.
func TestWhatChangesARequestIsSigned(t *testing.T) {
	t.Parallel()
	const day, stamp = "20150830", "20150830T130000Z"
	now := time.Date(2015, 8, 30, 13, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		service, header, names string
		presigned, counts      bool
	}{
		{"s3", "X-Amz-Acl", "host", false, false},
		{"s3", "X-Amz-Acl", "host", true, false},
		{"s3", "X-Amz-Content-Sha256", "host", false, false},
		{"s3", "X-Amz-Content-Sha256", "host", true, false},
		{"s3", "X-Amz-Copy-Source", "host;x-amz-copy-sourc", false, false},
		{"s3", "X-Amz-Copy-Source", "host;x-amz-copy-source", false, true},
		{"s3", "X-Amz-Acl", "host;x-amz-acl", true, true},
		{"s3", "Content-Type", "host", false, true},
		{"kinesis", "X-Amz-Target", "host", false, false},
		{"kinesis", "X-Amz-Target", "host", true, false},
		{"kinesis", "X-Amz-Target", "host;x-amz-target", true, true},
		{"kinesis", "X-Amz-User-Agent", "host", false, true},
		{"kinesis", "Content-Type", "content-type", false, false},
	} {
		r := &http.Request{Method: "PUT", URL: &url.URL{Path: "/"}, Header: http.Header{c.header: {"x"}}}
		scope := "AKIDEXAMPLE/" + day + "/us-east-1/" + c.service + "/aws4_request"
		if c.presigned {
			r.URL.RawQuery = url.Values{
				"X-Amz-Algorithm": {Algorithm}, "X-Amz-Credential": {scope}, "X-Amz-Date": {stamp},
				"X-Amz-Expires": {"60"}, "X-Amz-SignedHeaders": {c.names}, "X-Amz-Signature": {"ab"},
			}.Encode()
		} else {
			r.Header.Set("X-Amz-Date", stamp)
			r.Header.Set("Authorization", Algorithm+" Credential="+scope+", SignedHeaders="+c.names+", Signature=ab")
		}
		g, err := Read(r, Claims{}, c.service == "s3")
		if err == nil {
			err = g.Check(r, c.service, now)
		}
		var refused *Refusal
		if c.counts && err != nil || !c.counts && (!errors.As(err, &refused) || refused.Why != Uncovered) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// One Verifier serves many requests at once, of different keys, regions and days, and takes none for another: what it
// keeps of one derivation is of no use for the next.
func TestAVerifierServesManyAtOnce(t *testing.T) {
	t.Parallel()
	var v Verifier
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			region, secret := []string{"us-east-1", "eu-west-1"}[i%2], []string{"first", "second"}[i/2%2]
			at := exampleAt.AddDate(0, 0, i/4)
			for range 50 {
				r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", nil)
				Sign(r, Digest(nil), Key{ID: "K", Secret: secret}, Scope{region, "kinesis"}, at)
				g, err := Read(r, Claims{}, false)
				if err != nil || !v.Matches(r, &g, Digest(nil), secret) {
					t.Errorf("%s, %s, %s: %v", region, secret, at, err)
				}
				if v.Matches(r, &g, Digest(nil), "third") {
					t.Errorf("%s, %s, %s: another secret matches", region, secret, at)
				}
			}
		})
	}
	all.Wait()
}

// A scope is five parts, whose day is that of the request and nothing beside it.
func TestAScopeIsFiveParts(t *testing.T) {
	t.Parallel()
	for credential, why := range map[string]Reason{
		"A/20150830/us-east-1/kinesis/aws4_request/":     Incomplete,
		"A/20150830/us-east-1/kinesis/aws4_request/more": Incomplete,
		"/20150830/us-east-1/kinesis/aws4_request":       Incomplete,
		"A/20150830/us-east-1/kinesis":                   Incomplete,
		"A/201508301/us-east-1/kinesis/aws4_request":     Misscoped,
		"A/2015083/us-east-1/kinesis/aws4_request":       Misscoped,
		"A//us-east-1/kinesis/aws4_request":              Misscoped,
		"A/20150830/us-east-1/Kinesis/aws4_request":      Misscoped,
		"A/20150830/us-east-1/kinesis/AWS4_request":      Misscoped,
	} {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Header: http.Header{
			"X-Amz-Date":    {"20150830T130000Z"},
			"Authorization": {Algorithm + " Credential=" + credential + ", SignedHeaders=host, Signature=ab"},
		}}
		g, err := Read(r, Claims{}, false)
		if err == nil {
			err = g.Check(r, "kinesis", time.Date(2015, 8, 30, 13, 0, 0, 0, time.UTC))
		}
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Why != why {
			t.Errorf("%s: %v", credential, err)
		}
	}
}
