package logs

// operations are those that are here, by name.
var operations = map[string]operation{
	"CreateLogGroup":        handle((*Handler).createLogGroup),
	"CreateLogStream":       handle((*Handler).createLogStream),
	"DeleteLogGroup":        handle((*Handler).deleteLogGroup),
	"DeleteLogStream":       handle((*Handler).deleteLogStream),
	"DeleteRetentionPolicy": handle((*Handler).deleteRetentionPolicy),
	"DescribeLogGroups":     handle((*Handler).describeLogGroups),
	"DescribeLogStreams":    handle((*Handler).describeLogStreams),
	"FilterLogEvents":       handle((*Handler).filterLogEvents),
	"GetLogEvents":          handle((*Handler).getLogEvents),
	"ListTagsForResource":   handle((*Handler).listTagsForResource),
	"ListTagsLogGroup":      handle((*Handler).listTagsLogGroup),
	"PutLogEvents":          handle((*Handler).putLogEvents),
	"PutRetentionPolicy":    handle((*Handler).putRetentionPolicy),
	"TagLogGroup":           handle((*Handler).tagLogGroup),
	"TagResource":           handle((*Handler).tagResource),
	"UntagLogGroup":         handle((*Handler).untagLogGroup),
	"UntagResource":         handle((*Handler).untagResource),
}

// absent are the other operations of the service's model.
const absent = `
	AssociateKmsKey AssociateSourceToS3TableIntegration CancelExportTask CancelImportTask CreateDelivery CreateExportTask CreateImportTask
	CreateLogAnomalyDetector CreateLookupTable CreateScheduledQuery DeleteAccountPolicy DeleteDataProtectionPolicy DeleteDelivery
	DeleteDeliveryDestination DeleteDeliveryDestinationPolicy DeleteDeliverySource DeleteDestination DeleteIndexPolicy DeleteIntegration
	DeleteLogAnomalyDetector DeleteLookupTable DeleteMetricFilter DeleteQueryDefinition DeleteResourcePolicy DeleteScheduledQuery DeleteSubscriptionFilter
	DeleteTransformer DescribeAccountPolicies DescribeConfigurationTemplates DescribeDeliveries DescribeDeliveryDestinations DescribeDeliverySources
	DescribeDestinations DescribeExportTasks DescribeFieldIndexes DescribeImportTaskBatches DescribeImportTasks DescribeIndexPolicies DescribeLookupTables
	DescribeMetricFilters DescribeQueries DescribeQueryDefinitions DescribeResourcePolicies DescribeSubscriptionFilters DisassociateKmsKey
	DisassociateSourceFromS3TableIntegration GetDataProtectionPolicy GetDelivery GetDeliveryDestination GetDeliveryDestinationPolicy GetDeliverySource
	GetIntegration GetLogAnomalyDetector GetLogFields GetLogGroupFields GetLogObject GetLogRecord GetLookupTable GetQueryResults GetScheduledQuery
	GetScheduledQueryHistory GetTransformer ListAggregateLogGroupSummaries ListAnomalies ListIntegrations ListLogAnomalyDetectors ListLogGroups
	ListLogGroupsForQuery ListScheduledQueries ListSourcesForS3TableIntegration PutAccountPolicy PutBearerTokenAuthentication PutDataProtectionPolicy
	PutDeliveryDestination PutDeliveryDestinationPolicy PutDeliverySource PutDestination PutDestinationPolicy PutIndexPolicy PutIntegration
	PutLogGroupDeletionProtection PutMetricFilter PutQueryDefinition PutResourcePolicy PutSubscriptionFilter PutTransformer StartLiveTail StartQuery
	StopQuery TestMetricFilter TestTransformer UpdateAnomaly UpdateDeliveryConfiguration UpdateLogAnomalyDetector UpdateLookupTable UpdateScheduledQuery`
