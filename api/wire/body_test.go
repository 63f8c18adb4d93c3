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
	for _, c := range []struct {
		name   string
		body   io.Reader
		want   string
		code   string
		status int
	}{
		{"as long as may be", strings.NewReader("12345678"), "12345678", "", 0},
		{"none", strings.NewReader(""), "", "", 0},
		{"a byte too long", strings.NewReader("123456789"), "", CodeTooLarge, http.StatusRequestEntityTooLarge},
		{"cut off", io.MultiReader(strings.NewReader("1234"), iotest.ErrReader(io.ErrUnexpectedEOF)), "", CodeSerialization, 0},
	} {
		got, err := ReadBody(httptest.NewRequest(http.MethodPost, "/", c.body), 8)
		var f *fault.Error
		if errors.As(err, &f); string(got) != c.want || (c.code == "") != (err == nil) || c.code != "" && (f == nil || f.Code != c.code || f.Status != c.status) {
			t.Errorf("%s: %q, %v; want %q, %s %d", c.name, got, err, c.want, c.code, c.status)
		}
	}
}
