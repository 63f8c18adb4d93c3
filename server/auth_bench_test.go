package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkSignatures puts records in process, with signatures that are parsed alone, parsed beside a hash of the body,
// and verified: what verifying costs beyond the hash is the difference of the last two.
func BenchmarkSignatures(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keys.yaml")
	k := auth.New("bench", "", auth.Rights{Role: auth.Produce})
	if err := auth.Add(path, k); err != nil {
		b.Fatal(err)
	}
	keys, err := auth.Open(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	record := func(n int) string {
		return fmt.Sprintf(`"Data":"%s","PartitionKey":"k"`, base64.StdEncoding.EncodeToString(make([]byte, n)))
	}
	for _, put := range []struct{ name, operation, body string }{
		{"PutRecord-100B", "PutRecord", `{"StreamName":"s",` + record(100) + `}`},
		{"PutRecords-500x100B", "PutRecords", `{"StreamName":"s","Records":[` +
			strings.TrimSuffix(strings.Repeat("{"+record(100)+"},", 500), ",") + `]}`},
		{"PutRecords-500x1KB", "PutRecords", `{"StreamName":"s","Records":[` +
			strings.TrimSuffix(strings.Repeat("{"+record(1000)+"},", 500), ",") + `]}`},
	} {
		for _, how := range []string{"parsed", "hashed", "verified"} {
			b.Run(put.name+"/"+how, func(b *testing.B) {
				cfg := Config{MemoryLimit: 4 << 30}
				if how == "verified" {
					cfg.Auth = keys
				}
				s, err := New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				defer s.Stop(b.Context())
				send := func(operation, body string, at time.Time) {
					r, err := http.NewRequestWithContext(b.Context(), "POST", s.Endpoint(), strings.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					r.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
					r.Header.Set("Content-Type", "application/x-amz-json-1.1")
					sigv4.Sign(r, sigv4.Digest([]byte(body)), sigv4.Key{ID: k.ID, Secret: k.Secret}, sigv4.Scope{
						Region: "us-east-1", Service: "kinesis",
					}, at)
					r.Header.Set("User-Agent", "bench")
					whole := []byte(body)
					payload := bytes.NewReader(whole)
					b.ResetTimer()
					before, n := processorTime(), 0
					for ; b.Loop(); n++ {
						if n%20000 == 19999 { // memory has an end
							b.StopTimer()
							_ = s.Reset(b.Context())
							s.makeStream(b)
							b.StartTimer()
						}
						payload.Reset(whole)
						r.Body = io.NopCloser(payload)
						if how == "hashed" {
							sum := sha256.Sum256(whole)
							runtime.KeepAlive(sum)
						}
						w := &discard{header: http.Header{}}
						s.answer(w, r)
						if w.status != 200 {
							b.Fatal(w.status)
						}
					}
					b.ReportMetric(float64(processorTime()-before)/float64(n), "cpu-ns/op")
				}
				s.makeStream(b)
				send(put.operation, put.body, time.Now())
			})
		}
	}
}

// processorTime returns what this process has used, which other work on the machine does not change.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// makeStream makes the stream s with the key of the server's own user.
func (s *Server) makeStream(b *testing.B) {
	b.Helper()
	const body = `{"StreamName":"s","ShardCount":4}`
	r, err := http.NewRequestWithContext(b.Context(), "POST", s.Endpoint(), strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.CreateStream")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sigv4.Sign(r, sigv4.Digest([]byte(body)), sigv4.Key{ID: "000000000000", Secret: s.Token()}, sigv4.Scope{
		Region: "us-east-1", Service: "kinesis",
	}, time.Now())
	w := &discard{header: http.Header{}}
	s.answer(w, r)
	if w.status != 200 {
		b.Fatal(w.status)
	}
}
