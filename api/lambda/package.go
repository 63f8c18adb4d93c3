package lambda

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// packagePath is the path of Code.Location: our own endpoint instead of AWS's S3. It is below one of Paths.
const packagePath = "/2015-03-31/shardmill-packages/"

// packageLife is how long a Location is good for. Real time.
const packageLife = 10 * time.Minute

// packageURL returns a Location for a function's package, signed with a key that this process alone knows.
func (h *Handler) packageURL(c *call, conf *function.Configuration) string {
	expires := strconv.FormatInt(time.Now().Add(packageLife).Unix(), 10)
	query := url.Values{"Expires": {expires}, "Signature": {h.sign(conf.CodeSHA256, expires)}}
	return c.caller.Endpoint + packagePath + conf.CodeSHA256 + "?" + query.Encode()
}

func (h *Handler) sign(sha, expires string) string {
	mac := hmac.New(sha256.New, h.urlKey[:])
	mac.Write([]byte(sha + "\n" + expires))
	return hex.EncodeToString(mac.Sum(nil))
}

// getPackage answers the bytes of a package to any client that has its Location. It needs no other authorization, like
// a presigned URL.
func (h *Handler) getPackage(c *call) error {
	sha := strings.TrimPrefix(c.r.URL.Path, packagePath)
	query := c.r.URL.Query()
	expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	if err != nil || !hmac.Equal([]byte(h.sign(sha, query.Get("Expires"))), []byte(query.Get("Signature"))) ||
		time.Now().Unix() > expires {
		return fault.New(
			fault.CodeAccessDenied,
			"The location of this code package is wrong or older than ten minutes. Call GetFunction for a new one.",
		)
	}
	b, err := h.functions.Package(sha)
	if err != nil {
		return err
	}
	wire.WriteBytes(c.w, http.StatusOK, "application/zip", b)
	return nil
}
