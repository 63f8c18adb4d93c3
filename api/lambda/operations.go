package lambda

import (
	"net/http"
	"net/url"
	"strings"
)

// operation is one row of the service's model. A nil serve means that AWS has it and shardmill does not: it is refused
// by name.
type operation struct {
	name   string
	method string
	path   string // braces hold a parameter; a query must be there as written
	serve  func(*Handler, *call) error
}

// operations is the whole model of 2015-03-31, as of botocore 1.44. Order matters only where two rows share method and
// path: the one with a query effectively comes first, because match prefers it.
var operations = []operation{
	{"AddLayerVersionPermission", "POST", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", nil},
	{"AddPermission", "POST", "/2015-03-31/functions/{FunctionName}/policy", (*Handler).addPermission},
	{"CheckpointDurableExecution", "POST", "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint", nil},
	{"CreateAlias", "POST", "/2015-03-31/functions/{FunctionName}/aliases", (*Handler).createAlias},
	{"CreateCapacityProvider", "POST", "/2025-11-30/capacity-providers", nil},
	{"CreateCodeSigningConfig", "POST", "/2020-04-22/code-signing-configs", nil},
	{"CreateEventSourceMapping", "POST", "/2015-03-31/event-source-mappings", (*Handler).eventSourceMapping},
	{"CreateFunction", "POST", "/2015-03-31/functions", (*Handler).createFunction},
	{"CreateFunctionUrlConfig", "POST", "/2021-10-31/functions/{FunctionName}/url", nil},
	{"DeleteAlias", "DELETE", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", (*Handler).deleteAlias},
	{"DeleteCapacityProvider", "DELETE", "/2025-11-30/capacity-providers/{CapacityProviderName}", nil},
	{"DeleteCodeSigningConfig", "DELETE", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", nil},
	{"DeleteDurableExecution", "DELETE", "/2025-12-01/durable-executions/{DurableExecutionArn}", nil},
	{"DeleteEventSourceMapping", "DELETE", "/2015-03-31/event-source-mappings/{UUID}", (*Handler).eventSourceMapping},
	{"DeleteFunction", "DELETE", "/2015-03-31/functions/{FunctionName}", (*Handler).deleteFunction},
	{
		"DeleteFunctionCodeSigningConfig", "DELETE", "/2020-06-30/functions/{FunctionName}/code-signing-config",
		(*Handler).deleteFunctionCodeSigningConfig,
	},
	{
		"DeleteFunctionConcurrency", "DELETE", "/2017-10-31/functions/{FunctionName}/concurrency",
		(*Handler).deleteFunctionConcurrency,
	},
	{"DeleteFunctionEventInvokeConfig", "DELETE", "/2019-09-25/functions/{FunctionName}/event-invoke-config", nil},
	{"DeleteFunctionUrlConfig", "DELETE", "/2021-10-31/functions/{FunctionName}/url", nil},
	{"DeleteLayerVersion", "DELETE", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", nil},
	{
		"DeleteProvisionedConcurrencyConfig", "DELETE", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
		nil,
	},
	{"DeleteResourcePolicy", "DELETE", "/2026-07-09/resource-policy/{ResourceArn}", nil},
	{"GetAccountSettings", "GET", "/2016-08-19/account-settings", (*Handler).getAccountSettings},
	{"GetAlias", "GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", (*Handler).getAlias},
	{"GetCapacityProvider", "GET", "/2025-11-30/capacity-providers/{CapacityProviderName}", nil},
	{"GetCodeSigningConfig", "GET", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", nil},
	{"GetDurableExecution", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}", nil},
	{"GetDurableExecutionHistory", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}/history", nil},
	{"GetDurableExecutionState", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}/state", nil},
	{"GetEventSourceMapping", "GET", "/2015-03-31/event-source-mappings/{UUID}", (*Handler).eventSourceMapping},
	{"GetFunction", "GET", "/2015-03-31/functions/{FunctionName}", (*Handler).getFunction},
	{
		"GetFunctionCodeSigningConfig", "GET", "/2020-06-30/functions/{FunctionName}/code-signing-config",
		(*Handler).getFunctionCodeSigningConfig,
	},
	{
		"GetFunctionConcurrency", "GET", "/2019-09-30/functions/{FunctionName}/concurrency",
		(*Handler).getFunctionConcurrency,
	},
	{
		"GetFunctionConfiguration", "GET", "/2015-03-31/functions/{FunctionName}/configuration",
		(*Handler).getFunctionConfiguration,
	},
	{"GetFunctionEventInvokeConfig", "GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config", nil},
	{"GetFunctionRecursionConfig", "GET", "/2024-08-31/functions/{FunctionName}/recursion-config", nil},
	{"GetFunctionScalingConfig", "GET", "/2025-11-30/functions/{FunctionName}/function-scaling-config", nil},
	{"GetFunctionUrlConfig", "GET", "/2021-10-31/functions/{FunctionName}/url", nil},
	{"GetLayerVersion", "GET", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", nil},
	{"GetLayerVersionByArn", "GET", "/2018-10-31/layers?find=LayerVersion", nil},
	{"GetLayerVersionPolicy", "GET", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", nil},
	{"GetPolicy", "GET", "/2015-03-31/functions/{FunctionName}/policy", (*Handler).getPolicy},
	{"GetProvisionedConcurrencyConfig", "GET", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", nil},
	{"GetResourcePolicy", "GET", "/2026-07-09/resource-policy/{ResourceArn}", nil},
	{"GetRuntimeManagementConfig", "GET", "/2021-07-20/functions/{FunctionName}/runtime-management-config", nil},
	{"Invoke", "POST", "/2015-03-31/functions/{FunctionName}/invocations", (*Handler).invoke},
	{"InvokeAsync", "POST", "/2014-11-13/functions/{FunctionName}/invoke-async", nil},
	{"InvokeWithResponseStream", "POST", "/2021-11-15/functions/{FunctionName}/response-streaming-invocations", nil},
	{"ListAliases", "GET", "/2015-03-31/functions/{FunctionName}/aliases", (*Handler).listAliases},
	{"ListCapacityProviders", "GET", "/2025-11-30/capacity-providers", nil},
	{"ListCodeSigningConfigs", "GET", "/2020-04-22/code-signing-configs", nil},
	{
		"ListDurableExecutionsByFunction", "GET", "/2025-12-01/functions/{FunctionName}/durable-executions",
		(*Handler).listDurableExecutionsByFunction,
	},
	{"ListEventSourceMappings", "GET", "/2015-03-31/event-source-mappings", (*Handler).eventSourceMapping},
	{"ListFunctionEventInvokeConfigs", "GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config/list", nil},
	{"ListFunctionUrlConfigs", "GET", "/2021-10-31/functions/{FunctionName}/urls", nil},
	{
		"ListFunctionVersionsByCapacityProvider", "GET",
		"/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions", nil,
	},
	{"ListFunctions", "GET", "/2015-03-31/functions", (*Handler).listFunctions},
	{
		"ListFunctionsByCodeSigningConfig", "GET", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions",
		nil,
	},
	{"ListLayerVersions", "GET", "/2018-10-31/layers/{LayerName}/versions", nil},
	{"ListLayers", "GET", "/2018-10-31/layers", nil},
	{
		"ListProvisionedConcurrencyConfigs", "GET",
		"/2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL", nil,
	},
	{"ListTags", "GET", "/2017-03-31/tags/{Resource}", (*Handler).listTags},
	{
		"ListVersionsByFunction", "GET", "/2015-03-31/functions/{FunctionName}/versions",
		(*Handler).listVersionsByFunction,
	},
	{"PauseDurableExecution", "POST", "/2025-12-01/durable-executions/{DurableExecutionArn}/pause", nil},
	{"PublishLayerVersion", "POST", "/2018-10-31/layers/{LayerName}/versions", nil},
	{"PublishVersion", "POST", "/2015-03-31/functions/{FunctionName}/versions", (*Handler).publishVersion},
	{"PutFunctionCodeSigningConfig", "PUT", "/2020-06-30/functions/{FunctionName}/code-signing-config", nil},
	{
		"PutFunctionConcurrency", "PUT", "/2017-10-31/functions/{FunctionName}/concurrency",
		(*Handler).putFunctionConcurrency,
	},
	{"PutFunctionEventInvokeConfig", "PUT", "/2019-09-25/functions/{FunctionName}/event-invoke-config", nil},
	{"PutFunctionRecursionConfig", "PUT", "/2024-08-31/functions/{FunctionName}/recursion-config", nil},
	{"PutFunctionScalingConfig", "PUT", "/2025-11-30/functions/{FunctionName}/function-scaling-config", nil},
	{"PutProvisionedConcurrencyConfig", "PUT", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", nil},
	{"PutResourcePolicy", "PUT", "/2026-07-09/resource-policy/{ResourceArn}", nil},
	{"PutRuntimeManagementConfig", "PUT", "/2021-07-20/functions/{FunctionName}/runtime-management-config", nil},
	{
		"RemoveLayerVersionPermission", "DELETE",
		"/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}", nil,
	},
	{
		"RemovePermission", "DELETE", "/2015-03-31/functions/{FunctionName}/policy/{StatementId}",
		(*Handler).removePermission,
	},
	{"ResumeDurableExecution", "POST", "/2025-12-01/durable-executions/{DurableExecutionArn}/resume", nil},
	{"SendDurableExecutionCallbackFailure", "POST", "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail", nil},
	{
		"SendDurableExecutionCallbackHeartbeat", "POST",
		"/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat", nil,
	},
	{
		"SendDurableExecutionCallbackSuccess", "POST", "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed",
		nil,
	},
	{"StopDurableExecution", "POST", "/2025-12-01/durable-executions/{DurableExecutionArn}/stop", nil},
	{"TagResource", "POST", "/2017-03-31/tags/{Resource}", (*Handler).tagResource},
	{"UntagResource", "DELETE", "/2017-03-31/tags/{Resource}", (*Handler).untagResource},
	{"UpdateAlias", "PUT", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", (*Handler).updateAlias},
	{"UpdateCapacityProvider", "PUT", "/2025-11-30/capacity-providers/{CapacityProviderName}", nil},
	{"UpdateCodeSigningConfig", "PUT", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", nil},
	{"UpdateEventSourceMapping", "PUT", "/2015-03-31/event-source-mappings/{UUID}", (*Handler).eventSourceMapping},
	{"UpdateFunctionCode", "PUT", "/2015-03-31/functions/{FunctionName}/code", (*Handler).updateFunctionCode},
	{
		"UpdateFunctionConfiguration", "PUT", "/2015-03-31/functions/{FunctionName}/configuration",
		(*Handler).updateFunctionConfiguration,
	},
	{"UpdateFunctionEventInvokeConfig", "POST", "/2019-09-25/functions/{FunctionName}/event-invoke-config", nil},
	{"UpdateFunctionUrlConfig", "PUT", "/2021-10-31/functions/{FunctionName}/url", nil},
}

// Paths are the path prefixes that belong to Lambda alone.
func Paths() []string {
	seen := map[string]bool{}
	var paths []string
	for _, op := range operations {
		date, _, _ := strings.Cut(op.path[1:], "/")
		if prefix := "/" + date + "/"; !seen[prefix] {
			seen[prefix] = true
			paths = append(paths, prefix)
		}
	}
	return paths
}

// match finds the operation of a request and its path parameters, decoded. It matches the escaped path, because an ARN
// in one segment may contain encoded slashes.
func match(r *http.Request) (*operation, map[string]string) {
	path := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	version := "/" + path[0] + "/" // with which every pattern begins
	var best *operation
	var params map[string]string
	for i := range operations {
		op := &operations[i]
		if op.method != r.Method || !strings.HasPrefix(op.path, version) || strings.Count(op.path, "/") != len(path) {
			continue
		}
		pattern, needs, _ := strings.Cut(op.path, "?")
		p, ok := matchPath(strings.Split(pattern[1:], "/"), path)
		if !ok || !hasQuery(r, needs) {
			continue
		}
		if best == nil || strings.Contains(op.path, "?") {
			best, params = op, p
		}
	}
	return best, params
}

func matchPath(pattern, path []string) (map[string]string, bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	var params map[string]string
	for i, want := range pattern {
		if !strings.HasPrefix(want, "{") {
			if want != path[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(path[i])
		if err != nil || value == "" {
			return nil, false
		}
		if params == nil {
			params = map[string]string{}
		}
		params[want[1:len(want)-1]] = value
	}
	return params, true
}

func hasQuery(r *http.Request, needs string) bool {
	name, value, ok := strings.Cut(needs, "=")
	return !ok || r.URL.Query().Get(name) == value
}
