package dynamodb

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// DynamoDB API Reference, PutResourcePolicy: the same document keeps its revision, and an expected revision that is
// another one is PolicyNotFoundException.
func TestAPolicyOfATableIsKeptAsItWasPut(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	arn := aws.String("arn:aws:dynamodb:eu-central-1:111122223333:table/events")
	put := func(text string, expected *string) (string, error) {
		out, err := b.c.PutResourcePolicy(t.Context(), &client.PutResourcePolicyInput{
			ResourceArn: arn, Policy: &text, ExpectedRevisionId: expected, ConfirmRemoveSelfResourceAccess: true,
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.RevisionId), nil
	}
	gone := func(what string, err error) {
		t.Helper()
		var none *types.PolicyNotFoundException
		if !errors.As(err, &none) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := b.c.GetResourcePolicy(t.Context(), &client.GetResourcePolicyInput{ResourceArn: arn})
	gone("a new table", err)
	const some = `{"Statement": {"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"dynamodb:*","Resource":"*"}}`
	first, err := put(some, aws.String("NO_POLICY"))
	b.must(err)
	again, err := put(some, nil)
	if b.must(err); first == "" || again != first {
		t.Errorf("revisions %q and %q", first, again)
	}
	_, err = put(some+" ", aws.String("NO_POLICY"))
	gone("no policy is expected", err)
	_, err = put(some+" ", aws.String("7"))
	gone("another revision is expected", err)
	second, err := put(some+" ", &first)
	if b.must(err); second == first {
		t.Errorf("another policy has the revision %s", second)
	}
	out, err := b.c.GetResourcePolicy(t.Context(), &client.GetResourcePolicyInput{ResourceArn: arn})
	if b.must(err); aws.ToString(out.Policy) != some+" " || aws.ToString(out.RevisionId) != second {
		t.Errorf("the policy is %s at %s", *out.Policy, *out.RevisionId)
	}
	for text, want := range map[string]string{
		"":  "the policy is not JSON",
		"x": "the policy is not JSON",
		strings.Replace(some, `"Effect"`, `"Condition":{"Null":{"x:y":"true"}},"Effect"`, 1): "Condition cannot be evaluated",
		strings.Replace(some, "dynamodb:", "sqs:", 1):                                        "sqs:* cannot be shared",
	} {
		_, err := put(text, nil)
		var refused smithy.APIError
		if !errors.As(err, &refused) || refused.ErrorCode() != "ValidationException" ||
			!strings.Contains(refused.ErrorMessage(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, want := range []string{second, ""} { // deleting none is harmless
		out, err := b.c.DeleteResourcePolicy(t.Context(), &client.DeleteResourcePolicyInput{ResourceArn: arn})
		if b.must(err); aws.ToString(out.RevisionId) != want {
			t.Errorf("deleted %q, want %q", aws.ToString(out.RevisionId), want)
		}
	}
	_, err = b.c.DeleteResourcePolicy(t.Context(), &client.DeleteResourcePolicyInput{
		ResourceArn: arn, ExpectedRevisionId: &second,
	})
	gone("a revision that is gone", err)
}
