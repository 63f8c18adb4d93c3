package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// objects is what each client sees: what it wrote, part of it, what it uploaded in parts, the keys of all pages, and
// the refusal of what it has deleted.
type objects struct {
	Body     string            `json:"body"`
	Metadata map[string]string `json:"metadata"`
	Range    []string          `json:"range"`
	Size     int64             `json:"size"`
	Tail     string            `json:"tail"`
	Keys     []string          `json:"keys"`
	Deleted  int               `json:"deleted"`
	Gone     string            `json:"gone"`
	Hosts    []string          `json:"hosts"`
}

// The SDKs for Go and JavaScript write, read, upload in parts, list and delete, with a bucket's name in the path and in
// the host's name.
func TestObjectsWithTheSDKsOfGoAndJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for _, style := range []string{"path", "virtual"} {
		for client, use := range map[string]func(t *testing.T, s *server, bucket, style string) objects{
			"go": objectsOfGo, "javascript": objectsOfJavaScript,
		} {
			t.Run(client+" "+style, func(t *testing.T) {
				t.Parallel()
				bucket := client + "-" + style
				want := objects{
					Body: "0123456789", Metadata: map[string]string{"colour": "blue"},
					Range: []string{"345", "bytes 3-5/10"},
					Size:  5<<20 + 3, Tail: "xend", Keys: []string{"a b/ä+", "large"}, Deleted: 2,
					Gone: "The specified key does not exist.", Hosts: []string{"127.0.0.1"},
				}
				if style == "virtual" {
					want.Hosts = []string{bucket + ".localhost"}
				}
				if diff := cmp.Diff(want, use(t, s, bucket, style)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func objectsOfJavaScript(t *testing.T, s *server, bucket, style string) (saw objects) {
	t.Helper()
	stdout, stderr, err := s.command(t, "node", absolute(t, "javascript/objects.mjs"), bucket, style)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &saw); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return saw
}

func objectsOfGo(t *testing.T, s *server, bucket, style string) (saw objects) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	endpoint := s.Endpoint
	var asked sync.Map
	if style == "virtual" {
		endpoint = strings.Replace(endpoint, "127.0.0.1", "localhost", 1)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.Endpoint, "http://"))
	must(err)
	home := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		asked.Store(host, true)
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port)) // BUCKET.localhost, too
	}}
	c := s3.New(s3.Options{
		Region: region, BaseEndpoint: &endpoint, UsePathStyle: style == "path", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", ""),
		HTTPClient:  &http.Client{Timeout: patience, Transport: wiretest.WholeBodies{Next: home}},
	})
	read := func(key, span string) (string, *s3.GetObjectOutput) {
		t.Helper()
		in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
		if span != "" {
			in.Range = &span
		}
		out, err := c.GetObject(t.Context(), in)
		must(err)
		defer out.Body.Close()
		text, err := io.ReadAll(out.Body)
		must(err)
		return string(text), out
	}
	key, large := aws.String("a b/ä+"), aws.String("large")

	_, err = c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
	must(err)
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: key, Body: strings.NewReader("0123456789"), Metadata: map[string]string{"colour": "blue"},
	})
	must(err)
	var got *s3.GetObjectOutput
	saw.Body, got = read(*key, "")
	saw.Metadata = got.Metadata
	part, got := read(*key, "bytes=3-5")
	saw.Range = []string{part, *got.ContentRange}

	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: large})
	must(err)
	var done []s3types.CompletedPart
	for i, body := range [][]byte{bytes.Repeat([]byte("x"), 5<<20), []byte("end")} {
		number := aws.Int32(int32(i + 1))
		out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: &bucket, Key: large, UploadId: upload.UploadId, PartNumber: number, Body: bytes.NewReader(body),
		})
		must(err)
		done = append(done, s3types.CompletedPart{
			PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32,
		})
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: large, UploadId: upload.UploadId,
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: done},
	})
	must(err)
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: large})
	must(err)
	saw.Size = *head.ContentLength
	saw.Tail, _ = read(*large, "bytes=-4")

	var ids []s3types.ObjectIdentifier
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(err)
		for _, o := range page.Contents {
			saw.Keys, ids = append(saw.Keys, *o.Key), append(ids, s3types.ObjectIdentifier{Key: o.Key})
		}
	}
	deleted, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: &bucket, Delete: &s3types.Delete{Objects: ids},
	})
	must(err)
	saw.Deleted = len(deleted.Deleted)
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: large})
	if gone := (*s3types.NoSuchKey)(nil); errors.As(err, &gone) {
		saw.Gone = gone.ErrorMessage()
	}
	asked.Range(func(host, _ any) bool {
		saw.Hosts = append(saw.Hosts, host.(string))
		return true
	})
	return saw
}
