package s3

import (
	"context"
	"encoding/xml"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/internal/policy"
)

// maxPolicyBytes bounds the body of PutBucketPolicy; what is shorter and still too long the room says.
const maxPolicyBytes = 1 << 20

// actions are what policies call the operations on a bucket or an object. An operation that is not here is judged where
// it knows what it is about. Source: Service Authorization Reference, "Actions, resources, and condition keys for
// Amazon S3".
var actions = map[string]string{
	"AbortMultipartUpload": "s3:AbortMultipartUpload", "CompleteMultipartUpload": putObject, "CopyObject": putObject,
	"CreateMultipartUpload": putObject, "DeleteBucket": "s3:DeleteBucket", "DeleteBucketPolicy": "s3:DeleteBucketPolicy",
	"DeleteBucketTagging": "s3:PutBucketTagging", "DeleteObject": deleteObject,
	"DeleteObjectTagging":              "s3:DeleteObjectTagging",
	"GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration", "GetBucketAcl": "s3:GetBucketAcl",
	"GetBucketAnalyticsConfiguration": "s3:GetAnalyticsConfiguration", "GetBucketCors": "s3:GetBucketCORS",
	"GetBucketEncryption":                      "s3:GetEncryptionConfiguration",
	"GetBucketIntelligentTieringConfiguration": "s3:GetIntelligentTieringConfiguration",
	"GetBucketInventoryConfiguration":          "s3:GetInventoryConfiguration",
	"GetBucketLifecycle":                       "s3:GetLifecycleConfiguration",
	"GetBucketLifecycleConfiguration":          "s3:GetLifecycleConfiguration",
	"GetBucketLocation":                        "s3:GetBucketLocation", "GetBucketLogging": "s3:GetBucketLogging",
	"GetBucketMetricsConfiguration":      "s3:GetMetricsConfiguration",
	"GetBucketNotification":              "s3:GetBucketNotification",
	"GetBucketNotificationConfiguration": "s3:GetBucketNotification",
	"GetBucketOwnershipControls":         "s3:GetBucketOwnershipControls", "GetBucketPolicy": "s3:GetBucketPolicy",
	"GetBucketPolicyStatus": "s3:GetBucketPolicyStatus", "GetBucketReplication": "s3:GetReplicationConfiguration",
	"GetBucketRequestPayment": "s3:GetBucketRequestPayment", "GetBucketTagging": "s3:GetBucketTagging",
	"GetBucketVersioning": "s3:GetBucketVersioning", "GetBucketWebsite": "s3:GetBucketWebsite", "GetObject": getObject,
	"GetObjectAcl": "s3:GetObjectAcl", "GetObjectAttributes": "s3:GetObjectAttributes",
	"GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration", "GetObjectTagging": "s3:GetObjectTagging",
	"GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock", "HeadBucket": listBucket, "HeadObject": getObject,
	"ListBucketAnalyticsConfigurations":          "s3:GetAnalyticsConfiguration",
	"ListBucketIntelligentTieringConfigurations": "s3:GetIntelligentTieringConfiguration",
	"ListBucketInventoryConfigurations":          "s3:GetInventoryConfiguration",
	"ListBucketMetricsConfigurations":            "s3:GetMetricsConfiguration",
	"ListMultipartUploads":                       "s3:ListBucketMultipartUploads", "ListObjects": listBucket,
	"ListObjectsV2": listBucket, "ListParts": "s3:ListMultipartUploadParts", "PutBucketPolicy": "s3:PutBucketPolicy",
	"PutBucketTagging": "s3:PutBucketTagging", "PutObject": putObject, "PutObjectTagging": "s3:PutObjectTagging",
	"UploadPart": putObject, "UploadPartCopy": putObject,
}

// Actions that are asked for in more than one place.
const (
	deleteObject = "s3:DeleteObject"
	getObject    = "s3:GetObject"
	listBucket   = "s3:ListBucket"
	putObject    = "s3:PutObject"
)

// authorize judges whether the caller may do with a bucket what the request asks.
func (q *request) authorize(i *bucket.Info, operation string) error {
	who, all := q.caller.Principal(), []string{actions[operation]}
	switch {
	case operation == "DeleteObjects": // each key by itself
		return nil
	case operation == "GetObjectAttributes":
		all = append(all, getObject)
	case q.r.Header.Get("X-Amz-Tagging") != "":
		all = append(all, "s3:PutObjectTagging")
	}
	q.hidden = q.key != "" && mayNotKnow(who, i)
	for _, action := range all {
		if err := i.Authorize(who, action, q.key); err != nil {
			return err
		}
	}
	return nil
}

// mayNotKnow reports whether a caller is not told which objects of a bucket are missing: another account that may not
// list it. Source: S3 API Reference, GetObject, "Permissions".
func mayNotKnow(who policy.Caller, i *bucket.Info) bool {
	return i.Account != who.Account && i.Authorize(who, listBucket, "") != nil
}

func (h *Handler) getBucketPolicy(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	text, err := h.buckets.Policy(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	return reply{json: text}, nil
}

func (h *Handler) putBucketPolicy(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	body, err := readDocument(q, maxPolicyBytes)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		body = []byte(" ") // which is no policy; none at all would remove one
	}
	return nil, h.buckets.SetPolicy(ctx, q.bucket, string(body))
}

func (h *Handler) deleteBucketPolicy(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	return nil, h.buckets.SetPolicy(ctx, q.bucket, "")
}

type policyStatus struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ PolicyStatus"`
	IsPublic bool
}

func (h *Handler) getBucketPolicyStatus(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	if _, err := h.buckets.Policy(ctx, q.bucket); err != nil {
		return nil, err
	}
	i, err := h.buckets.Look(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	return reply{body: policyStatus{IsPublic: i.IsPublic()}}, nil
}
