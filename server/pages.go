package server

import (
	"fmt"
	"net/url"

	"github.com/shardmill/shardmill/api/wire"
)

// checkPages refuses text that no browser sends as an origin, and a setting that would have no effect.
func (c *Config) checkPages() error {
	if c.KinesisCORS == "" || c.KinesisCORS == wire.AnyPage {
		return c.checkPagesReach()
	}
	u, err := url.Parse(c.KinesisCORS)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != c.KinesisCORS {
		return fmt.Errorf(
			"kinesis-cors %q is no origin, such as http://localhost:3000, and not *", c.KinesisCORS,
		)
	}
	return c.checkPagesReach()
}

// checkPagesReach refuses pages where every request of a browser is refused.
func (c *Config) checkPagesReach() error {
	if c.KinesisCORS != "" && c.open() {
		return fmt.Errorf("kinesis-cors %s has no effect beyond loopback with auth off, where browsers are refused",
			c.KinesisCORS)
	}
	return nil
}
