package bucket

import (
	"context"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/policy"
)

// maxPolicy is how many bytes a policy may have. Source: S3 User Guide, "Bucket policies".
const maxPolicy = 20 << 10

// alone are the actions that stay the owner's, whatever a policy says, and that no policy takes from the owner: AWS
// keeps them for the account itself, so that it gets out of a policy that denies too much.
var alone = map[string]bool{
	"s3:DeleteBucketPolicy": true, "s3:GetBucketPolicy": true, "s3:PutBucketPolicy": true,
}

var policyRules = policy.Rules{Service: "s3", Name: "Amazon S3", Code: CodeMalformedPolicy, Most: maxPolicy}

// ARN returns the bucket's Amazon resource name.
func (i *Info) ARN() string {
	return arn.ARN{Partition: arn.PartitionOf(i.Region), Service: "s3", Resource: i.Name}.String()
}

// Authorize returns why a caller may not carry out an action, such as s3:GetObject, on the bucket, or on an object of
// it if key is not ""; nil if it may. The owner may do what the bucket's policy does not deny, another account what it
// allows. Fault: AccessDenied.
func (i *Info) Authorize(who policy.Caller, action, key string) error {
	if who.Account == i.Account && (i.policy == nil || alone[action]) {
		return nil
	}
	resource := i.ARN()
	if key != "" {
		resource += "/" + key
	}
	refusal := i.policy.Judge(
		policy.Request{Caller: who, Action: action, Resource: resource}, i.Account, alone[action],
	)
	if refusal == nil {
		return nil
	}
	return refusal.Fault(CodeAccessDenied).WithStatus(http.StatusForbidden)
}

// IsPublic reports whether the bucket's policy allows anything to everybody.
func (i *Info) IsPublic() bool { return i.policy.Public() }

// Policy returns the policy of a bucket as it was put. Faults: NoSuchBucket; NoSuchBucketPolicy.
func (bs *Buckets) Policy(_ context.Context, name string) (string, error) {
	leave, err := bs.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	b, release, err := bs.use(name)
	if err != nil {
		return "", err
	}
	defer release()
	if b.meta.Policy == "" {
		return "", NoSuchPolicy()
	}
	return b.meta.Policy, nil
}

// NoSuchPolicy returns the fault of a bucket without a policy.
func NoSuchPolicy() error {
	return fault.New(CodeNoSuchPolicy, "The bucket policy does not exist").WithStatus(http.StatusNotFound)
}

// SetPolicy replaces the policy of a bucket, durably; "" removes it, which is harmless without one. Faults:
// NoSuchBucket; MalformedPolicy for a document that is no policy, is too long, is about something else than the bucket,
// or says something that is not evaluated, which is named.
func (bs *Buckets) SetPolicy(ctx context.Context, name, text string) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	return bs.change(ctx, name, "change the policy of", func(b *bucket, m *meta) (refusable bool, err error) {
		document, err := checkPolicy(text)
		if err != nil {
			return false, err
		}
		i := b.info()
		for _, resource := range document.Resources() {
			if rest, ok := strings.CutPrefix(resource, i.ARN()); !ok || rest != "" && rest[0] != '/' && rest[0] != '*' {
				return false, fault.New(CodeMalformedPolicy, "Policy has invalid resource").WithHint(
					"%s is neither the bucket nor objects of it; name %s or %s/*.",
					fault.Clip(resource, 200), i.ARN(), i.ARN())
			}
		}
		m.Policy, m.document = text, document
		return len(text) > len(b.meta.Policy), nil
	})
}

// checkPolicy parses a policy; "" is none.
func checkPolicy(text string) (*policy.Document, error) {
	if text == "" {
		return nil, nil
	}
	return policyRules.Check(text)
}
