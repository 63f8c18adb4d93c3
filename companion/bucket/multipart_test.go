package bucket

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

func (b *bench) part(upload string, number int, body string, a Algorithm) Part {
	b.Helper()
	p, err := b.PutPart(b.Context(), PutPart{
		Bucket: "bbb", Key: "k", Upload: upload, Number: number, Body: strings.NewReader(body), Algorithm: a,
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bench) upload(u Upload) string {
	b.Helper()
	id, err := b.Buckets.Begin(b.Context(), "bbb", "k", u)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

// Parts become one object: its bytes one after the other, its ETag over theirs, its checksum over theirs or as if it
// had been put whole. Parts that are not named, and those that were replaced, leave nothing behind.
func TestPartsBecomeAnObject(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		first, second := strings.Repeat("0123456789", MinPart/10), "the end"
		for _, a := range append([]Algorithm{""}, Algorithms...) {
			composite := a == SHA1 || a == SHA256
			id := b.upload(Upload{
				UploadSummary: UploadSummary{Algorithm: a, Composite: composite},
				Attributes:    Attributes{ContentType: "x/y"},
			})
			b.part(id, 2, "replaced", a)
			parts := []Part{b.part(id, 2, first, ""), b.part(id, 7, second, a)}
			b.part(id, 9, "not named", a)

			d, err := b.Complete(t.Context(), Complete{Bucket: "bbb", Key: "k", Upload: id, Parts: parts, Size: -1})
			if err != nil {
				t.Fatal(err)
			}

			again, err := b.Complete(t.Context(), Complete{Bucket: "bbb", Key: "k", Upload: id, Parts: parts, Size: -1})
			if err != nil || again.ETag != d.ETag {
				t.Errorf("completed again: %+v %v", again, err)
			}
			const etag = "6b7505b9d2e9ad918e9cf18545bb1c46-2"
			if d.ETag != etag || d.ContentType != "x/y" || b.content("k") != first+second {
				t.Errorf("%+v", d)
			}
			if whole := SumsOf([]byte(first+second), a).Checksum; a != "" && !composite &&
				d.Value != base64.StdEncoding.EncodeToString(whole) {
				t.Errorf("%s of the whole is %s", a, d.Value)
			}
			if composite && !strings.HasSuffix(d.Value, "=-2") {
				t.Errorf("%s of the parts is %s", a, d.Value)
			}
			if n := b.kept(); n != 2 {
				t.Errorf("%d contents are kept", n)
			}
			o, err := b.Open(t.Context(), "bbb", "k")
			if err != nil {
				t.Fatal(err)
			}
			if from, size, ok := o.PartRange(2); !ok || b.bytes(o, from, size) != second || o.PartCount() != 2 {
				t.Errorf("part 2 is %d+%d", from, size)
			}
			if got := b.bytes(o, int64(len(first))-2, 5); got != "89the" {
				t.Errorf("across parts: %q", got)
			}
			o.Close()
		}
	})
}

// What an upload refuses, and that it can be given up.
func TestAnUploadRefusesWhatDoesNotFit(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		id := b.upload(Upload{UploadSummary: UploadSummary{Algorithm: CRC32}})
		one, two := b.part(id, 1, "small", CRC32), b.part(id, 2, "small, too", CRC32)
		wrong := one
		wrong.ETag = two.ETag
		lied := two
		lied.Value = one.Value
		for name, c := range map[string]struct {
			in   Complete
			code string
		}{
			"another ETag":     {Complete{Parts: []Part{wrong}, Size: -1}, CodeInvalidPart},
			"another checksum": {Complete{Parts: []Part{lied}, Size: -1}, CodeInvalidPart},
			"no such part":     {Complete{Parts: []Part{{Number: 3, ETag: one.ETag}}, Size: -1}, CodeInvalidPart},
			"part 0":           {Complete{Parts: []Part{{ETag: one.ETag}}, Size: -1}, CodeInvalidPart},
			"order":            {Complete{Parts: []Part{two, one}, Size: -1}, CodeInvalidPartOrder},
			"twice":            {Complete{Parts: []Part{two, two}, Size: -1}, CodeInvalidPartOrder},
			"too small":        {Complete{Parts: []Part{one, two}, Size: -1}, CodeEntityTooSmall},
			"size":             {Complete{Parts: []Part{one}, Size: 6}, CodeInvalidRequest},
			"digest": {
				Complete{Parts: []Part{one}, Size: 5, Checksum: Checksum{Algorithm: CRC32, Value: two.Value}},
				CodeBadDigest,
			},
			"condition": {Complete{Parts: []Part{one}, Size: 5, Condition: Condition{ETag: "x"}}, CodeNoSuchKey},
		} {
			c.in.Bucket, c.in.Key, c.in.Upload = "bbb", "k", id
			if _, err := b.Complete(t.Context(), c.in); fault.CodeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		for number, code := range map[int]string{0: CodeInvalidArgument, MaxParts + 1: CodeInvalidArgument} {
			_, err := b.PutPart(t.Context(), PutPart{Bucket: "bbb", Key: "k", Upload: id, Number: number})
			if fault.CodeOf(err) != code {
				t.Errorf("part %d: %v", number, err)
			}
		}
		if _, err := b.PutPart(t.Context(), PutPart{
			Bucket: "bbb", Key: "k", Upload: id, Number: 1, Algorithm: SHA1, Body: strings.NewReader(""),
		}); fault.CodeOf(err) != CodeInvalidRequest {
			t.Errorf("another algorithm: %v", err)
		}
		if err := b.Abort(t.Context(), "bbb", "k", id); err != nil || b.kept() != 0 {
			t.Errorf("%v, %d contents", err, b.kept())
		}
		for _, upload := range []string{id, "", "x", "!"} {
			if err := b.Abort(t.Context(), "bbb", "k", upload); fault.CodeOf(err) != CodeNoSuchUpload {
				t.Errorf("%q: %v", upload, err)
			}
		}
	})
}

// A CRC of two stretches put together is that of both read at once.
func TestCRCsArePutTogether(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		body := make([]byte, r.IntN(3000))
		for i := range body {
			body[i] = byte(r.Uint32())
		}
		cut := r.IntN(len(body) + 1)
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			var parts []Part
			for _, p := range [][]byte{body[:cut], body[cut:]} {
				parts = append(parts, Part{Size: int64(len(p)), Checksum: checksumOf(a, SumsOf(p, a))})
			}
			if got, want := wholeChecksum(a, parts), checksumOf(a, SumsOf(body, a)).Value; got != want {
				t.Fatalf("%s of %d and %d bytes: %s, want %s", a, cut, len(body)-cut, got, want)
			}
		}
	}
}

// A copy shares the bytes, or has them in one stretch where the source is in parts.
func TestCopies(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		b.put("a", "body")
		copied := func(key string, a Algorithm) Description {
			o, err := b.Open(t.Context(), "bbb", key)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			d, err := b.Copy(t.Context(), Copy{From: o, Bucket: "bbb", Key: "copy", Algorithm: a})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		d := copied("a", "")
		if n := b.kept(); n != 1 || d.ETag != "841a2d689ad86bd1611447453c22c6fc" || b.content("copy") != "body" {
			t.Errorf("%+v, %d contents", d, n)
		}
		if d := copied("a", CRC32); d.Value == "" {
			t.Errorf("%+v", d)
		}
		id := b.upload(Upload{})
		p := b.part(id, 1, "part", "")
		if _, err := b.Complete(t.Context(), Complete{
			Bucket: "bbb", Key: "k", Upload: id, Parts: []Part{p}, Size: -1,
		}); err != nil {
			t.Fatal(err)
		}
		if d := copied("k", ""); strings.Contains(d.ETag, "-") || b.content("copy") != "part" {
			t.Errorf("%+v", d)
		}
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "a"}, Remove{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		if got := b.content("copy"); got != "part" || b.kept() != 1 {
			t.Errorf("%q, %d contents", got, b.kept())
		}
	})
}

// Stored values of another version, and damaged ones, are refused by name.
func TestStoredValuesAreChecked(t *testing.T) {
	t.Parallel()
	b := begin(t, "")
	b.put("k", "body")
	key := objectKey(1, "k")
	value, ok, err := b.local.Get(key)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for i := range value {
		var d Description
		if _, _, err := decodeHolding(value[:i], "object", &d); err == nil {
			t.Errorf("%d of %d bytes are an object", i, len(value))
		}
	}
	newer := bytes.Clone(value)
	newer[0] = 2
	var d Description
	if _, _, err := decodeHolding(newer, "object", &d); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Error(err)
	}
	k := uploadKey(7, "a\x00b\x00", uploadID{1, 2})
	if key, id, ok := splitUploadKey(k); !ok || key != "a\x00b\x00" || id != (uploadID{1, 2}) {
		t.Errorf("%q %v", key, id)
	}
}
