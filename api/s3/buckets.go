package s3

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

type createRequest struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
	Location, Bucket   *struct{}    // of directory buckets
	Tags               []bucket.Tag `xml:"Tags>Tag"`
}

func (h *Handler) createBucket(ctx context.Context, c wire.Caller, q *request) (any, error) {
	var in createRequest
	if q.r.ContentLength != 0 {
		if err := readXML(q, &in); err != nil {
			return nil, err
		}
	}
	if in.Location != nil || in.Bucket != nil {
		return nil, lacks("directory buckets")
	}
	region := c.Region
	switch where := in.LocationConstraint; {
	case where == "EU":
		region = "eu-west-1"
	case where != "" && !wire.ValidRegion(where):
		return nil, fault.New(codeInvalidLocation, "The specified location-constraint is not valid")
	case where != "" && c.Region != wire.DefaultRegion && where != c.Region:
		return nil, fault.New(codeIllegalLocation, "The %s location constraint is incompatible for the "+
			"region specific endpoint this request was sent to.", where)
	case where != "":
		region = where
	}
	if err := h.buckets.Create(ctx, c.Account, region, q.bucket, in.Tags); err != nil {
		return nil, err
	}
	return reply{header: map[string]string{"Location": "/" + q.bucket}}, nil
}

func (h *Handler) headBucket(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	i, err := h.buckets.Look(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	return reply{header: map[string]string{
		"x-amz-bucket-region": i.Region, "x-amz-access-point-alias": "false", "Content-Type": "application/xml",
	}}, nil
}

func (h *Handler) deleteBucket(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	return nil, h.buckets.Delete(ctx, q.bucket)
}

type locationResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Location string   `xml:",chardata"`
}

func (h *Handler) getBucketLocation(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	i, err := h.buckets.Look(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	if i.Region == wire.DefaultRegion { // which has no constraint
		i.Region = ""
	}
	return reply{body: locationResult{Location: i.Region}}, nil
}

type owner struct{ ID string }

type bucketsResult struct {
	XMLName xml.Name      `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Buckets []bucketEntry `xml:"Buckets>Bucket"`
	Owner   owner
	Token   string `xml:"ContinuationToken,omitempty"`
	Prefix  string `xml:",omitempty"`
}

type bucketEntry struct {
	Name         string
	CreationDate string
	BucketRegion string
}

func (h *Handler) listBuckets(ctx context.Context, c wire.Caller, q *request) (any, error) {
	most, err := q.number("max-buckets", bucket.MaxBuckets)
	if err != nil || most == 0 {
		return nil, invalid("Argument max-buckets must be an integer between 1 and %d", bucket.MaxBuckets)
	}
	after, err := q.token("continuation-token")
	if err != nil {
		return nil, err
	}
	prefix := q.query.Get("prefix")
	list, more, err := h.buckets.All(ctx, c.Account, q.query.Get("bucket-region"), prefix, after, most)
	if err != nil {
		return nil, err
	}
	out := bucketsResult{Owner: owner{ownerID(c.Account)}, Prefix: prefix}
	for _, i := range list {
		out.Buckets = append(out.Buckets, bucketEntry{i.Name, stamp(i.Created), i.Region})
	}
	if more {
		out.Token = newToken(list[len(list)-1].Name)
	}
	return reply{body: out}, nil
}

// ownerID returns the canonical user id of an account: 64 hexadecimal digits.
func ownerID(account string) string {
	const zeros = "0000000000000000000000000000000000000000000000000000"
	return zeros + account
}

// number returns a parameter that is a number, at most the largest that counts.
func (q *request) number(name string, most int) (int, error) {
	if !q.query.Has(name) || q.query.Get(name) == "" {
		return most, nil
	}
	n, err := strconv.ParseInt(q.query.Get(name), 10, 32)
	if err != nil {
		return 0, invalid("Provided %s not an integer or within integer range", name)
	}
	if n < 0 {
		return 0, invalid("Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(int(n), most), nil
}

// A token says behind which name a list goes on.
func newToken(name string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{1}, name...))
}

// token returns what a token says; "": there is none.
func (q *request) token(parameter string) (string, error) {
	if !q.query.Has(parameter) {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.query.Get(parameter))
	if err != nil || len(b) < 2 || b[0] != 1 {
		return "", invalid("The continuation token provided is incorrect")
	}
	return string(b[1:]), nil
}

type taggingDocument struct {
	XMLName xml.Name     `xml:"Tagging"`
	Tags    []bucket.Tag `xml:"TagSet>Tag"`
}

type taggingResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
	Set     struct {
		Tags []tagEntry `xml:"Tag"`
	} `xml:"TagSet"`
}

type tagEntry struct{ Key, Value text }

func tagsOf(tags []bucket.Tag) taggingResult {
	var out taggingResult
	for _, t := range tags {
		out.Set.Tags = append(out.Set.Tags, tagEntry{text(t.Key), text(t.Value)})
	}
	return out
}

func (h *Handler) getBucketTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	tags, err := h.buckets.BucketTags(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	return reply{body: tagsOf(tags)}, nil
}

func (h *Handler) putBucketTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	var in taggingDocument
	if err := readXML(q, &in); err != nil {
		return nil, err
	}
	return nil, h.buckets.TagBucket(ctx, q.bucket, in.Tags)
}

func (h *Handler) deleteBucketTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	return nil, h.buckets.TagBucket(ctx, q.bucket, nil)
}

func (h *Handler) getObjectTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	tags, err := h.buckets.Tags(ctx, q.bucket, q.key)
	if err != nil {
		return nil, err
	}
	return reply{body: tagsOf(tags)}, nil
}

func (h *Handler) putObjectTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	var in taggingDocument
	if err := readXML(q, &in); err != nil {
		return nil, err
	}
	if err := h.buckets.Tag(ctx, q.bucket, q.key, in.Tags); err != nil {
		return nil, err
	}
	return reply{}, nil
}

func (h *Handler) deleteObjectTagging(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	return nil, h.buckets.Tag(ctx, q.bucket, q.key, nil)
}

// setting is how S3 answers a question about something that nobody has configured.
type setting struct {
	code, message string // of a 404; "": the answer is a document
	root, inner   string // its element, and what is in it
}

// settings are the answers for buckets on which nothing was ever configured, by operation.
var settings = map[string]setting{
	"GetBucketAccelerateConfiguration": {root: "AccelerateConfiguration"},
	"GetBucketCors":                    {code: "NoSuchCORSConfiguration", message: "The CORS configuration does not exist"},
	"GetBucketEncryption": {
		code:    "ServerSideEncryptionConfigurationNotFoundError",
		message: "The server side encryption configuration was not found",
	},
	"GetBucketLifecycle": {
		code: "NoSuchLifecycleConfiguration", message: "The lifecycle configuration does not exist",
	},
	"GetBucketLifecycleConfiguration": {
		code: "NoSuchLifecycleConfiguration", message: "The lifecycle configuration does not exist",
	},
	"GetBucketLogging":                   {root: "BucketLoggingStatus"},
	"GetBucketNotification":              {root: "NotificationConfiguration"},
	"GetBucketNotificationConfiguration": {root: "NotificationConfiguration"},
	"GetBucketOwnershipControls": {
		code: "OwnershipControlsNotFoundError", message: "The bucket ownership controls were not found",
	},
	"GetBucketReplication": {
		code: "ReplicationConfigurationNotFoundError", message: "The replication configuration was not found",
	},
	"GetBucketRequestPayment": {root: "RequestPaymentConfiguration", inner: "<Payer>BucketOwner</Payer>"},
	"GetBucketVersioning":     {root: "VersioningConfiguration"},
	"GetBucketWebsite": {
		code: "NoSuchWebsiteConfiguration", message: "The specified bucket does not have a website configuration",
	},
	"GetObjectLockConfiguration": {
		code: "ObjectLockConfigurationNotFoundError", message: "Object Lock configuration does not exist for this bucket",
	},
	"GetPublicAccessBlock": {
		code: "NoSuchPublicAccessBlockConfiguration", message: "The public access block configuration was not found",
	},
	"GetBucketAnalyticsConfiguration":          noConfiguration,
	"GetBucketIntelligentTieringConfiguration": noConfiguration,
	"GetBucketInventoryConfiguration":          noConfiguration,
	"GetBucketMetricsConfiguration":            noConfiguration,
	"ListBucketAnalyticsConfigurations": {
		root: "ListBucketAnalyticsConfigurationResult", inner: "<IsTruncated>false</IsTruncated>",
	},
	"ListBucketIntelligentTieringConfigurations": {
		root: "ListBucketIntelligentTieringConfigurationsOutput", inner: "<IsTruncated>false</IsTruncated>",
	},
	"ListBucketInventoryConfigurations": {
		root: "ListInventoryConfigurationsResult", inner: "<IsTruncated>false</IsTruncated>",
	},
	"ListBucketMetricsConfigurations": {
		root: "ListMetricsConfigurationsResult", inner: "<IsTruncated>false</IsTruncated>",
	},
}

var noConfiguration = setting{code: "NoSuchConfiguration", message: "The specified configuration does not exist."}

type settingResult struct {
	XMLName xml.Name
	Inner   string `xml:",innerxml"`
}

// unset returns an operation that reads what nobody can configure here.
func unset(name string) func(*Handler, context.Context, wire.Caller, *request) (any, error) {
	return func(h *Handler, ctx context.Context, _ wire.Caller, q *request) (any, error) {
		if _, err := h.buckets.Look(ctx, q.bucket); err != nil {
			return nil, err
		}
		s := settings[name]
		if s.code != "" {
			return nil, fault.New(s.code, "%s", s.message).WithStatus(http.StatusNotFound)
		}
		return reply{body: settingResult{xml.Name{Space: namespace, Local: s.root}, s.inner}}, nil
	}
}

// ownedBy is the document that gives everything to the owner, as every bucket and every object has it.
func ownedBy(account string) settingResult {
	id := ownerID(account)
	return settingResult{
		xml.Name{Space: namespace, Local: "AccessControlPolicy"},
		"<Owner><ID>" + id + `</ID></Owner><AccessControlList><Grant><Grantee ` +
			`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>` + id +
			"</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>",
	}
}

func (h *Handler) getBucketAcl(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	i, err := h.buckets.Look(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	return reply{body: ownedBy(i.Account)}, nil
}

func (h *Handler) getObjectAcl(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	i, err := h.buckets.Look(ctx, q.bucket)
	if err == nil {
		_, err = h.buckets.Tags(ctx, q.bucket, q.key) // it must be there
	}
	if err != nil {
		return nil, err
	}
	return reply{body: ownedBy(i.Account)}, nil
}
