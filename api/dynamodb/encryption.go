package dynamodb

import (
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/ids"
)

// sseDescription is SSEDescription of the DynamoDB API Reference.
type sseDescription struct {
	Status, SSEType string
	KMSMasterKeyArn string
}

// encryption reads SSESpecification: nil when it is absent, "" when it is off, else the ARN of the key. The table keeps
// and shows it; its items are stored as they are.
func (in *input) encryption(c wire.Caller) *string {
	s := in.structure("SSESpecification")
	if s == nil {
		return nil
	}
	if s.enum("SSEType", "AES256", "KMS") == "AES256" {
		in.fail(invalid("One or more parameter values were invalid: SSEType AES256 is not supported"))
	}
	id := s.text("KMSMasterKeyId")
	if !s.boolean("Enabled") {
		if s.has("SSEType") || s.has("KMSMasterKeyId") {
			in.fail(invalid("One or more parameter values were invalid: " +
				"SSEType and KMSMasterKeyId can only be specified when Enabled is true"))
		}
		return new("")
	}
	if s.has("KMSMasterKeyId") && (id == "" || len(id) > maxKeyID) {
		in.fail(invalid("One or more parameter values were invalid: KMSMasterKeyId has from 1 to %d bytes", maxKeyID))
	}
	return new(keyARN(c, id))
}

// maxKeyID bounds KMSMasterKeyId. Source: AWS KMS API Reference, KeyId.
const maxKeyID = 2048

// keyARN returns the ARN of the key that id names: an ARN, an alias, a key's id, or "" for the one that AWS manages.
// There is no KMS that could say which key an alias stands for, so it always stands for the same made-up one.
func keyARN(c wire.Caller, id string) string {
	switch {
	case strings.HasPrefix(id, "arn:"):
		return id
	case id == "":
		id = "alias/aws/dynamodb"
	}
	if strings.HasPrefix(id, "alias/") {
		id = ids.Named("kms", c.Account, c.Region, id)
	}
	return arn.New("kms", c.Region, c.Account, "key/"+id).String()
}
