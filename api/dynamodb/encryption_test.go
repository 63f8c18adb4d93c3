package dynamodb

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A setting without effect here is kept and shown, so that the programs that ask for it at every start (lifion-kinesis)
// get their table.
func TestEncryptionIsKeptAndShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := &client.CreateTableInput{TableName: aws.String("state"), BillingMode: types.BillingModePayPerRequest}
	in.AttributeDefinitions, in.KeySchema = keys("id:S")
	in.SSESpecification = &types.SSESpecification{Enabled: aws.Bool(true)}
	made, err := b.c.CreateTable(t.Context(), in)
	b.must(err)
	shown := func() *types.SSEDescription {
		out, err := b.c.DescribeTable(t.Context(), &client.DescribeTableInput{TableName: aws.String("state")})
		b.must(err)
		return out.Table.SSEDescription
	}
	sse := shown()
	if sse == nil || sse.Status != types.SSEStatusEnabled || sse.SSEType != types.SSETypeKms ||
		*sse.KMSMasterKeyArn != *made.TableDescription.SSEDescription.KMSMasterKeyArn {
		t.Fatalf("shown %+v after %+v", sse, made.TableDescription.SSEDescription)
	}

	for given, want := range map[string]string{
		"11112222-aaaa-bbbb-cccc-333344445555":        "arn:aws:kms:eu-central-1:111122223333:key/11112222-aaaa-bbbb-cccc-333344445555",
		"arn:aws:kms:eu-west-1:999900001111:key/mine": "arn:aws:kms:eu-west-1:999900001111:key/mine",
		"alias/aws/dynamodb":                          *sse.KMSMasterKeyArn,
	} {
		_, err := b.c.UpdateTable(t.Context(), &client.UpdateTableInput{
			TableName: aws.String("state"), SSESpecification: &types.SSESpecification{
				Enabled: aws.Bool(true), SSEType: types.SSETypeKms, KMSMasterKeyId: &given,
			},
		})
		b.must(err)
		if got := shown(); *got.KMSMasterKeyArn != want {
			t.Errorf("key %s is shown as %s, want %s", given, *got.KMSMasterKeyArn, want)
		}
	}
	_, err = b.c.UpdateTable(t.Context(), &client.UpdateTableInput{
		TableName: aws.String("state"), SSESpecification: &types.SSESpecification{Enabled: aws.Bool(false)},
	})
	b.must(err)
	if got := shown(); got != nil {
		t.Errorf("switched off, and shown %+v", got)
	}

	const table = `{"TableName":"state","SSESpecification":`
	const values = "One or more parameter values were invalid: "
	b.refuses("UpdateTable", table+`{"Enabled":true,"SSEType":"AES256"}}`, values+"SSEType AES256 is not supported")
	b.refuses(
		"UpdateTable", table+`{"KMSMasterKeyId":"k"}}`,
		values+"SSEType and KMSMasterKeyId can only be specified when Enabled is true",
	)
	b.refuses(
		"UpdateTable", table+`{"Enabled":true,"KMSMasterKeyId":""}}`, values+"KMSMasterKeyId has from 1 to 2048 bytes",
	)
}
