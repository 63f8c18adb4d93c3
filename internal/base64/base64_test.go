package base64

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

func check(t *testing.T, src []byte) {
	t.Helper()
	want := base64.StdEncoding.AppendEncode([]byte("before"), src)
	if got := AppendEncode([]byte("before"), src); !bytes.Equal(got, want) {
		t.Errorf("%d bytes: got %q instead of %q", len(src), got, want)
	}
}

func TestEncodingIsTheStandardLibrarysAtEveryLength(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	src := make([]byte, 600)
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	for n := range src {
		check(t, src[:n])
	}
}

func TestNothingBehindTheEncodingIsTouched(t *testing.T) {
	t.Parallel()
	room := bytes.Repeat([]byte{'#'}, 64)

	got := AppendEncode(room[:0], []byte("0123456789"))

	if !bytes.Equal(room[len(got):], bytes.Repeat([]byte{'#'}, 64-len(got))) {
		t.Errorf("wrote behind %q: %q", got, room)
	}
}

func FuzzEncodingIsTheStandardLibrarys(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("hello, world"))
	f.Fuzz(check)
}

func BenchmarkAppendEncode1K(b *testing.B) {
	src, dst := make([]byte, 1024), []byte(nil)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		dst = AppendEncode(dst[:0], src)
	}
}

func BenchmarkStandardLibrary1K(b *testing.B) {
	src, dst := make([]byte, 1024), []byte(nil)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		dst = base64.StdEncoding.AppendEncode(dst[:0], src)
	}
}
