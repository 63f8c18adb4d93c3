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

// checkDecoding compares with the standard library: what is accepted, and what comes out.
func checkDecoding(t *testing.T, src []byte) {
	t.Helper()
	dst, want := make([]byte, len(src)/4*3+3), make([]byte, len(src)/4*3+3)
	n, err := Decode(dst, src)
	m, wantErr := base64.StdEncoding.Strict().Decode(want, src)
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(dst[:n], want[:m]) {
		t.Errorf("%q: got %x, %v instead of %x, %v", src, dst[:n], err, want[:m], wantErr)
	}
}

func TestDecodingIsTheStandardLibrarysAtEveryLength(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(r.Uint32())
		}
		text := base64.StdEncoding.AppendEncode(nil, src)
		checkDecoding(t, text)
		for i := range text { // one digit of each text is another one, or none
			was := text[i]
			text[i] = "A=\n/z\x00-\xff"[r.IntN(8)]
			checkDecoding(t, text)
			text[i] = was
		}
	}
}

func FuzzDecodingIsTheStandardLibrarys(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("aGVsbG8="))
	f.Add([]byte("aGVsbG9="))
	f.Fuzz(checkDecoding)
}

func BenchmarkDecode1K(b *testing.B) {
	src, dst := bytes.Repeat([]byte("abcdefgh"), 171), make([]byte, 1026)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Decode(dst, src); err != nil {
			b.Fatal(err)
		}
	}
}
