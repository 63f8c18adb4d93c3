package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// startStreamEncryption serves StartStreamEncryption. Nothing is encrypted: the setting is kept and shown.
func (h *handler) startStreamEncryption(ctx context.Context, c *call) error {
	target, kind, keyID, err := c.encryption()
	if err != nil {
		return err
	}
	return h.streams.StartEncryption(ctx, target, kind, keyID)
}

// encryption returns the parameters that both operations on encryption have.
func (c *call) encryption() (target stream.Name, kind stream.EncryptionType, keyID string, err error) {
	f := c.request("StreamName", "EncryptionType", "KeyId", "StreamARN")
	name, encryption, key, arn := f.str("StreamName"), f.str("EncryptionType"), f.str("KeyId"), f.str("StreamARN")
	if *f.err != nil {
		return stream.Name{}, "", "", *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.enum("encryptionType", encryption, required, string(stream.Unencrypted), string(stream.KMS))
	v.text("keyId", key, required, nil, 1, 2048)
	if target, err = c.target(&v, name, arn); err != nil {
		return stream.Name{}, "", "", err
	}
	return target, stream.EncryptionType(*encryption), *key, nil
}
