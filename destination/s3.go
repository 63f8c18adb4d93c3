package destination

import (
	"context"

	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/ids"
)

// Buckets is what the S3 kind needs from an object service. An object that exists under the key is replaced.
type Buckets interface {
	PutNotice(ctx context.Context, bucket, key string, body []byte) error
}

// S3 returns the kind of bucket destinations: an object for each notice, with the records in it.
func S3(b Buckets) Kind {
	return Kind{Service: "s3", Open: func(a arn.ARN) Sender { return s3Sender{b, a.Resource} }}
}

type s3Sender struct {
	buckets Buckets
	bucket  string
}

func (s s3Sender) Send(ctx context.Context, n Sending) error {
	return s.buckets.PutNotice(ctx, s.bucket, objectKey(n), n.Body)
}

func (s3Sender) Payload() bool { return true }

// objectKey returns the name of a notice's object, in the form of the Lambda Developer Guide. Where AWS's is random,
// the last part is made from the notice's id, so that a repeat replaces the object instead of adding another. Only a
// repeat after a crash has a later time, and so a name of its own; both names end alike.
func objectKey(n Sending) string {
	return "aws/lambda/" + n.Mapping + "/" + n.Shard + "/" + n.At.UTC().Format("2006/01/02/2006-01-02T15.04.05") + "-" +
		ids.Named("object", n.ID)
}
