package logs

import "github.com/shardmill/shardmill/api/wire"

// absent refuses what CloudWatch Logs has and this room does not.
const absent = wire.Absent("logs")

// operation is a row of the model; a nil answer has no body.
type operation = wire.Operation[*Handler, wire.Input]

// model is what CloudWatch Logs has.
var model = wire.Model[operation]{Absent: absent, Others: others, Served: map[string]operation{
	"CreateLogGroup":        wire.Typed((*Handler).createLogGroup),
	"CreateLogStream":       wire.Typed((*Handler).createLogStream),
	"DeleteLogGroup":        wire.Typed((*Handler).deleteLogGroup),
	"DeleteLogStream":       wire.Typed((*Handler).deleteLogStream),
	"DeleteRetentionPolicy": wire.Typed((*Handler).deleteRetentionPolicy),
	"DescribeLogGroups":     wire.Typed((*Handler).describeLogGroups),
	"DescribeLogStreams":    wire.Typed((*Handler).describeLogStreams),
	"FilterLogEvents":       wire.Typed((*Handler).filterLogEvents),
	"GetLogEvents":          wire.Typed((*Handler).getLogEvents),
	"ListTagsForResource":   wire.Typed((*Handler).listTagsForResource),
	"ListTagsLogGroup":      wire.Typed((*Handler).listTagsLogGroup),
	"PutLogEvents":          wire.Typed((*Handler).putLogEvents),
	"PutRetentionPolicy":    wire.Typed((*Handler).putRetentionPolicy),
	"TagLogGroup":           wire.Typed((*Handler).tagLogGroup),
	"TagResource":           wire.Typed((*Handler).tagResource),
	"UntagLogGroup":         wire.Typed((*Handler).untagLogGroup),
	"UntagResource":         wire.Typed((*Handler).untagResource),
}}

// others are the operations that are not here.
const others = `
	AssociateKmsKey AssociateSourceToS3TableIntegration CancelExportTask CancelImportTask CreateDelivery CreateExportTask CreateImportTask
	CreateLogAnomalyDetector CreateLookupTable CreateScheduledQuery DeleteAccountPolicy DeleteDataProtectionPolicy DeleteDelivery
	DeleteDeliveryDestination DeleteDeliveryDestinationPolicy DeleteDeliverySource DeleteDestination DeleteIndexPolicy DeleteIntegration
	DeleteLogAnomalyDetector DeleteLookupTable DeleteMetricFilter DeleteQueryDefinition DeleteResourcePolicy DeleteScheduledQuery
	DeleteSubscriptionFilter DeleteSyslogConfiguration DeleteTransformer DescribeAccountPolicies DescribeConfigurationTemplates DescribeDeliveries
	DescribeDeliveryDestinations DescribeDeliverySources DescribeDestinations DescribeExportTasks DescribeFieldIndexes DescribeImportTaskBatches
	DescribeImportTasks DescribeIndexPolicies DescribeLookupTables DescribeMetricFilters DescribeQueries DescribeQueryDefinitions
	DescribeResourcePolicies DescribeSubscriptionFilters DisassociateKmsKey DisassociateSourceFromS3TableIntegration GetDataProtectionPolicy
	GetDelivery GetDeliveryDestination GetDeliveryDestinationPolicy GetDeliverySource GetIntegration GetLogAnomalyDetector GetLogFields
	GetLogGroupFields GetLogObject GetLogRecord GetLookupTable GetQueryResults GetScheduledQuery GetScheduledQueryHistory GetStorageTierPolicy
	GetTransformer ListAggregateLogGroupSummaries ListAnomalies ListIntegrations ListLogAnomalyDetectors ListLogGroups ListLogGroupsForQuery
	ListScheduledQueries ListSourcesForS3TableIntegration ListSyslogConfigurations PutAccountPolicy PutBearerTokenAuthentication
	PutDataProtectionPolicy PutDeliveryDestination PutDeliveryDestinationPolicy PutDeliverySource PutDestination PutDestinationPolicy PutIndexPolicy
	PutIntegration PutLogGroupDeletionProtection PutMetricFilter PutQueryDefinition PutResourcePolicy PutStorageTierPolicy PutSubscriptionFilter
	PutSyslogConfiguration PutTransformer StartLiveTail StartQuery StopQuery TestMetricFilter TestTransformer UpdateAnomaly UpdateDeliveryConfiguration
	UpdateLogAnomalyDetector UpdateLookupTable UpdateScheduledQuery`
