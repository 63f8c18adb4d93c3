package wire

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shardmill/shardmill/fault"
)

func TestBodiesAreReadUpToTheirLimit(t *testing.T) {
	t.Parallel()
	const large = 3 << 20 // several chunks
	for _, c := range []struct {
		name   string
		limit  int64
		body   io.Reader
		want   string
		code   string
		status int
	}{
		{"as long as may be", 8, strings.NewReader("12345678"), "12345678", "", 0},
		{"none", 8, strings.NewReader(""), "", "", 0},
		{
			"a byte too long", 8, strings.NewReader("123456789"), "", fault.CodeTooLarge,
			http.StatusRequestEntityTooLarge,
		},
		{
			"as long as may be, in chunks", large,
			io.MultiReader(strings.NewReader(strings.Repeat("0123456789abcdef", large/16))),
			strings.Repeat("0123456789abcdef", large/16), "", 0,
		},
		{
			"a byte too long, in chunks", large, io.MultiReader(strings.NewReader(strings.Repeat("x", large+1))), "",
			fault.CodeTooLarge, http.StatusRequestEntityTooLarge,
		},
		{
			"cut off", 8, io.MultiReader(strings.NewReader("1234"), iotest.ErrReader(io.ErrUnexpectedEOF)), "",
			fault.CodeSerialization, 0,
		},
	} {
		got, err := ReadBody(httptest.NewRequest(http.MethodPost, "/", c.body), c.limit)
		var f *fault.Error
		if errors.As(err, &f); string(got) != c.want || (c.code == "") != (err == nil) || c.code != "" &&
			(f == nil || f.Code != c.code || f.Status != c.status) {
			t.Errorf("%s: %.20q, %v; want %.20q, %s %d", c.name, got, err, c.want, c.code, c.status)
		}
	}
}
