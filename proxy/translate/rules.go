package translate

import (
	"maps"
	"strings"
	"sync"
)

// Service is the table of a service: the places that hold names, in requests and in answers. A place is a path of
// member names. Lists add nothing to a path; * stands for any member, # for the names of the members themselves, and
// **/x for a member x at any depth.
type Service struct {
	request, answer places
	pairs           []pair
	trees           func() (request, answer *node) // compiled at their first use
}

// places holds what is where.
type places map[string]kind

// pair is a list of forms and of XML, in which a name says what the value beside it is. JSON has members instead, and
// the tables speak of these.
type pair struct{ list, name, value, as string }

func newService(request, answer places, pairs ...pair) *Service {
	s := &Service{request: request, answer: answer, pairs: pairs}
	s.trees = sync.OnceValues(func() (*node, *node) { return compile(request), compile(answer) })
	return s
}

// at returns places that all hold the same; paths are separated by white space.
func at(k kind, paths string) places {
	p := places{}
	for path := range strings.FieldsSeq(paths) {
		p[path] = k
	}
	return p
}

func all(sets ...places) places {
	p := places{}
	for _, s := range sets {
		maps.Copy(p, s)
	}
	return p
}

// SQS is the table of Amazon SQS. Source: SQS API Reference.
var SQS = newService(
	all(
		at(queueURL, "QueueUrl"),
		at(arnOrNot, "SourceArn DestinationArn"),
		at(account, "QueueOwnerAWSAccountId AWSAccountIds AWSAccountId"),
		at(text, "Attributes/Policy Attributes/RedrivePolicy Attributes/RedriveAllowPolicy"),
	),
	all(
		at(queueURL, "QueueUrl QueueUrls queueUrls"),
		at(arnOrNot, `Attributes/QueueArn Messages/Attributes/DeadLetterQueueSourceArn
			Results/SourceArn Results/DestinationArn`),
		at(text, "Attributes/Policy Attributes/RedrivePolicy Attributes/RedriveAllowPolicy"),
	),
	pair{"Attribute", "Name", "Value", "Attributes"},
	pair{"Message/Attribute", "Name", "Value", "Messages/Attributes"},
)

// SNS is the table of Amazon SNS. Source: SNS API Reference.
var SNS = newService(
	all(
		at(arnOrNot, "TopicArn TargetArn SubscriptionArn ResourceArn Endpoint PlatformApplicationArn EndpointArn"),
		at(account, "AWSAccountId"),
		at(text, "Attributes/Policy Attributes/RedrivePolicy Attributes/SubscriptionRoleArn"),
	),
	all(
		at(arnOrNot, `TopicArn Topics/TopicArn SubscriptionArn Subscriptions/SubscriptionArn Subscriptions/TopicArn
			Subscriptions/Endpoint Attributes/TopicArn Attributes/SubscriptionArn Attributes/Endpoint
			Attributes/SubscriptionPrincipal Attributes/SubscriptionRoleArn`),
		at(account, "Subscriptions/Owner Attributes/Owner"),
		at(text, "Attributes/Policy Attributes/RedrivePolicy"),
	),
	pair{"Attributes", "key", "value", "Attributes"},
	pair{"", "AttributeName", "AttributeValue", "Attributes"},
)

// DynamoDB is the table of Amazon DynamoDB, which takes an ARN for the name of a table. Source: DynamoDB API Reference.
var DynamoDB = newService(
	all(
		at(arnOrNot, `TableName ResourceArn RequestItems/# TransactItems/*/TableName TableArn BackupArn StreamArn
			SourceTableArn TargetTableName ExportArn ImportArn`),
		at(text, "Policy ResourcePolicy"),
	),
	all(
		at(text, "Policy"),
		at(arnOrNot, `TableDescription/TableArn TableDescription/LatestStreamArn
			TableDescription/GlobalSecondaryIndexes/IndexArn TableDescription/LocalSecondaryIndexes/IndexArn
			Table/TableArn Table/LatestStreamArn Table/GlobalSecondaryIndexes/IndexArn
			Table/LocalSecondaryIndexes/IndexArn
			ConsumedCapacity/TableName Responses/# UnprocessedItems/# UnprocessedKeys/# ItemCollectionMetrics/#`),
	),
)

// Logs is the table of CloudWatch Logs. Source: CloudWatch Logs API Reference.
var Logs = newService(
	all(
		at(arnOrNot, "logGroupIdentifier logGroupIdentifiers resourceArn resourceIdentifier logGroupArn"),
		at(account, "accountIdentifiers"),
	),
	at(arnOrNot, "logGroups/arn logGroups/logGroupArn logStreams/arn"),
)

// Identity is the table of IAM and STS. Source: IAM API Reference, STS API Reference.
var Identity = newService(
	all(
		at(arnOrNot, "RoleArn PolicyArn PolicyArns/arn PermissionsBoundary PolicySourceArn"),
		at(text, "PolicyDocument AssumeRolePolicyDocument Policy"),
	),
	all(
		at(arnOrNot, "**/Arn **/PolicyArn **/PermissionsBoundaryArn"),
		at(encoded, "**/PolicyDocument **/AssumeRolePolicyDocument **/Document"),
		at(account, "Account"),
	),
)

// S3 is the table of Amazon S3, for the few requests and answers whose bodies hold names: see package proxy. Source: S3
// API Reference.
var S3 = newService(
	at(arnOrNot, `TopicConfiguration/Topic QueueConfiguration/Queue CloudFunctionConfiguration/CloudFunction
		LambdaFunctionConfiguration/LambdaFunctionArn`),
	all(
		at(arnOrNot, `TopicConfiguration/Topic QueueConfiguration/Queue CloudFunctionConfiguration/CloudFunction
			LambdaFunctionConfiguration/LambdaFunctionArn`),
		at(objectURL, "Location"),
		at(region, "Buckets/Bucket/BucketRegion"),
	),
)

// node is a place and those below it.
type node struct {
	kind, names kind // of a value here, and of the names of members
	next        map[string]*node
	any         *node
	deep        map[string]kind // at any depth; in the topmost node alone
}

func compile(p places) *node {
	top := &node{next: map[string]*node{}, deep: map[string]kind{}}
	for path, k := range p {
		if name, ok := strings.CutPrefix(path, "**/"); ok {
			top.deep[name] = k
			continue
		}
		n := top
		for name := range strings.SplitSeq(path, "/") {
			switch name {
			case "#":
				n.names = k
				n = &node{} // ends here
			case "*":
				if n.any == nil {
					n.any = &node{next: map[string]*node{}}
				}
				n = n.any
			default:
				if n.next[name] == nil {
					n.next[name] = &node{next: map[string]*node{}}
				}
				n = n.next[name]
			}
		}
		n.kind = k
	}
	return top
}

// child returns the place of a member; nil: nothing that is to be changed lies there.
func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	if c := n.next[name]; c != nil {
		return c
	}
	return n.any
}

// find returns what a path holds.
func (n *node) find(path string) kind {
	here := n
	for name := range strings.SplitSeq(path, "/") {
		if here = here.child(name); here == nil {
			_, last := splitLast(path)
			return n.deep[last]
		}
	}
	return here.kind
}
