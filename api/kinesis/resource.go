package kinesis

import (
	"strings"

	"github.com/shardmill/shardmill/stream"
)

// resource is what a ResourceARN names: a stream, or a consumer of one.
type resource struct {
	stream   stream.Name
	consumer *stream.ConsumerID // nil: the stream itself
}

// resource returns what an ARN names that resourceARN has checked. Faults: as Authorize and AuthorizeConsumer, and
// InvalidArgumentException.
func (c *call) resource(arn string) (resource, error) {
	if !strings.Contains(arn, "/consumer/") {
		name, err := c.address(nil, &arn)
		return resource{stream: name}, err
	}
	id, err := c.consumerByARN(arn)
	return resource{id.Stream, &id}, err
}

// resourceAlone returns the resource of a request that has no other member.
func (c *call) resourceAlone() (resource, error) {
	f := c.request("ResourceARN")
	arn := f.str("ResourceARN")
	if *f.err != nil {
		return resource{}, *f.err
	}
	var v constraints
	v.resourceARN(arn)
	if err := v.Err(); err != nil {
		return resource{}, err
	}
	return c.resource(*arn)
}
