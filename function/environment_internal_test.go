package function

import (
	"errors"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// Name by name, the reserved and the unreserved variables of the Lambda Developer Guide, "Defined runtime environment
// variables", as of 2026, and those that AWS's pages on logging name besides.
func TestReservedVariablesAreThoseOfTheDeveloperGuide(t *testing.T) {
	t.Parallel()
	reserved := []string{
		"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
		"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
		"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
		"LAMBDA_RUNTIME_DIR", "AWS_LAMBDA_MAX_CONCURRENCY",
		"AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN",
	}
	if !slices.Equal(reserved, reservedVariables) {
		t.Errorf("the list is %q", reservedVariables)
	}
	for _, name := range reserved {
		err := checkEnvironment("python3.13", map[string]string{name: "x"})
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.CodeInvalidParameter ||
			f.Message != "Lambda was unable to configure your environment variables because the environment variables "+
				"you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "+
				name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"TZ", "LANG", "PATH", "LD_LIBRARY_PATH", "NODE_PATH", "NODE_OPTIONS", "PYTHONPATH", "GEM_PATH",
		"AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS",
		"AWS_LAMBDA_DOTNET_PREJIT", "AWS_ENDPOINT_URL",
	} {
		if err := checkEnvironment("python3.13", map[string]string{name: "x"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		runtime, name, value string
		ok                   bool
	}{
		{"python3.13", "AWS_LAMBDA_LOG_FORMAT", "Text", true},
		{"python3.13", "AWS_LAMBDA_LOG_FORMAT", "JSON", false},
		{"nodejs22.x", "AWS_LAMBDA_LOG_LEVEL", "DEBUG", false},
		{"provided.al2023", "AWS_LAMBDA_LOG_FORMAT", "JSON", true},
		{"provided.al2023", "AWS_LAMBDA_LOG_LEVEL", "DEBUG", true},
	} {
		if err := checkEnvironment(c.runtime, map[string]string{c.name: c.value}); (err == nil) != c.ok {
			t.Errorf("%s=%s of %s: %v", c.name, c.value, c.runtime, err)
		}
	}
}
