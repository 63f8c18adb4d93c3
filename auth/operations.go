package auth

import (
	"maps"
	"slices"
	"sync"
)

// class is what an operation does, as far as roles tell operations apart.
type class uint8

const (
	govern  class = iota // identities, the clock, the reset; and whatever no list names
	manage               // creates, changes, deletes, or reads what companions hold
	look                 // shows what there is, and not what is in it
	read                 // reads records
	write                // puts records
	account              // keeps what a consumer knows of its progress: KCL's table of leases
	count                // puts metrics, as KCL and the KPL do
)

// grants are the classes that each role may call.
var grants = map[Role][]class{
	View:    {look},
	Consume: {look, read, account, count},
	Produce: {look, write, count},
	Operate: {look, read, write, account, count, manage},
	Admin:   {look, read, write, account, count, manage, govern},
}

// ControlAPI is the name of our own API among the services.
const ControlAPI = "shardmill"

// classOf returns the class of an operation.
func classOf(service, operation string) class { return classes()[service][operation] }

// Known reports whether a list names an operation of a service.
func Known(service, operation string) bool {
	_, ok := classes()[service][operation]
	return ok
}

// Operations returns the names of the operations of a service that the lists have, in order.
func Operations(service string) []string { return slices.Sorted(maps.Keys(classes()[service])) }

// classes returns the lists of every service, by the name that it has in a credential scope. They are made when they
// are first needed: a server without keys never makes them.
var classes = sync.OnceValue(func() map[string]map[string]class {
	return map[string]map[string]class{
		"kinesis": lists{
			look: {
				"DescribeAccountSettings", "DescribeLimits", "DescribeStream", "DescribeStreamConsumer",
				"DescribeStreamSummary", "GetResourcePolicy", "ListShards", "ListStreamConsumers", "ListStreams",
				"ListTagsForResource", "ListTagsForStream",
			},
			read: {
				"DeregisterStreamConsumer", "GetRecords", "GetShardIterator", "RegisterStreamConsumer", "SubscribeToShard",
			},
			write: {"PutRecord", "PutRecords"},
			manage: {
				"AddTagsToStream", "CreateStream", "DecreaseStreamRetentionPeriod", "DeleteResourcePolicy", "DeleteStream",
				"DisableEnhancedMonitoring", "EnableEnhancedMonitoring", "IncreaseStreamRetentionPeriod", "MergeShards",
				"PutResourcePolicy", "RemoveTagsFromStream", "SplitShard", "StartStreamEncryption", "StopStreamEncryption",
				"TagResource", "UntagResource", "UpdateAccountSettings", "UpdateMaxRecordSize", "UpdateShardCount",
				"UpdateStreamMode", "UpdateStreamWarmThroughput",
			},
		}.byName(),
		"lambda": lists{
			look: {
				"GetAccountSettings", "GetAlias", "GetEventSourceMapping", "GetFunction", "GetFunctionCodeSigningConfig",
				"GetFunctionConcurrency", "GetFunctionConfiguration", "GetPolicy", "ListAliases",
				"ListDurableExecutionsByFunction", "ListEventSourceMappings", "ListFunctions", "ListTags",
				"ListVersionsByFunction",
			},
			manage: {
				"AddPermission", "CreateAlias", "CreateEventSourceMapping", "CreateFunction", "DeleteAlias",
				"DeleteEventSourceMapping", "DeleteFunction", "DeleteFunctionCodeSigningConfig", "DeleteFunctionConcurrency",
				"Invoke", "PublishVersion",
				"PutFunctionConcurrency", "RemovePermission", "TagResource", "UntagResource", "UpdateAlias",
				"UpdateEventSourceMapping", "UpdateFunctionCode", "UpdateFunctionConfiguration",
			},
		}.byName(),
		"monitoring": lists{
			look:  {"GetMetricData", "GetMetricStatistics", "ListMetrics"},
			count: {"PutMetricData"},
		}.byName(),
		"dynamodb": lists{
			look: {
				"DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "GetResourcePolicy", "ListTables",
				"ListTagsOfResource",
			},
			account: {
				"BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "GetItem", "PutItem", "Query", "Scan",
				"UpdateItem", "UpdateTable",
			},
			manage: {
				"DeleteResourcePolicy", "DeleteTable", "PutResourcePolicy", "TagResource", "UntagResource",
				"UpdateTimeToLive",
			},
		}.byName(),
		"sqs": lists{
			look: {"GetQueueAttributes", "GetQueueUrl", "ListQueueTags", "ListQueues"},
			manage: {
				"AddPermission", "CreateQueue", "DeleteMessage", "DeleteQueue", "PurgeQueue", "ReceiveMessage",
				"RemovePermission", "SendMessage", "SetQueueAttributes", "TagQueue", "UntagQueue",
			},
		}.byName(),
		"sns": lists{
			look: {
				"GetSubscriptionAttributes", "GetTopicAttributes", "ListSubscriptions", "ListSubscriptionsByTopic",
				"ListTagsForResource", "ListTopics",
			},
			manage: {
				"ConfirmSubscription", "CreateTopic", "DeleteTopic", "Publish", "PublishBatch", "SetSubscriptionAttributes",
				"SetTopicAttributes", "Subscribe", "TagResource", "Unsubscribe", "UntagResource",
			},
		}.byName(),
		"logs": lists{
			look: {
				"DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents", "ListTagsForResource",
				"ListTagsLogGroup",
			},
			manage: {
				"CreateLogGroup", "CreateLogStream", "DeleteLogGroup", "DeleteLogStream", "DeleteRetentionPolicy",
				"PutLogEvents", "PutRetentionPolicy", "TagLogGroup", "TagResource", "UntagLogGroup", "UntagResource",
			},
		}.byName(),
		"s3": lists{
			look: {
				"GetBucketAccelerateConfiguration", "GetBucketAcl", "GetBucketAnalyticsConfiguration", "GetBucketCors",
				"GetBucketEncryption", "GetBucketIntelligentTieringConfiguration", "GetBucketInventoryConfiguration",
				"GetBucketLifecycle", "GetBucketLifecycleConfiguration", "GetBucketLocation", "GetBucketLogging",
				"GetBucketMetricsConfiguration", "GetBucketNotification", "GetBucketNotificationConfiguration",
				"GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketReplication",
				"GetBucketRequestPayment", "GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite",
				"GetObjectLockConfiguration", "GetPublicAccessBlock", "HeadBucket", "ListBucketAnalyticsConfigurations",
				"ListBucketIntelligentTieringConfigurations", "ListBucketInventoryConfigurations",
				"ListBucketMetricsConfigurations", "ListBuckets",
			},
			manage: {
				"AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket", "CreateMultipartUpload",
				"DeleteBucket", "DeleteBucketPolicy", "DeleteBucketTagging", "DeleteObject", "DeleteObjectTagging", "DeleteObjects", "GetObject",
				"GetObjectAcl", "GetObjectAttributes", "GetObjectTagging", "HeadObject", "ListMultipartUploads",
				"ListObjects", "ListObjectsV2", "ListParts", "PutBucketPolicy", "PutBucketTagging", "PutObject", "PutObjectTagging",
				"UploadPart", "UploadPartCopy",
			},
		}.byName(),
		"iam": lists{
			look: {
				"GetPolicy", "GetPolicyVersion", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies",
				"ListInstanceProfilesForRole", "ListPolicies", "ListPolicyTags", "ListPolicyVersions", "ListRolePolicies",
				"ListRoleTags", "ListRoles",
			},
			govern: {
				"AttachRolePolicy", "CreatePolicy", "CreatePolicyVersion", "CreateRole", "DeletePolicy",
				"DeletePolicyVersion", "DeleteRole", "DeleteRolePolicy", "DetachRolePolicy", "PutRolePolicy",
				"SetDefaultPolicyVersion", "TagPolicy", "TagRole", "UntagPolicy", "UntagRole", "UpdateAssumeRolePolicy",
				"UpdateRole",
			},
		}.byName(),
		"sts": lists{look: {"GetCallerIdentity"}}.byName(),
		ControlAPI: lists{
			look:   {"ListChaos", "ShowClock", "ShowLogs", "ShowReach"},
			manage: {"Replay"},
			govern: {"Backup", "MoveClock", "Reset", "SetChaos", "StopChaos", "TakeProfile"},
		}.byName(),
	}
})

// lists are the operations of one service by their class.
type lists map[class][]string

func (l lists) byName() map[string]class {
	out := map[string]class{}
	for c, names := range l {
		for _, name := range names {
			out[name] = c
		}
	}
	return out
}
