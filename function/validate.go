package function

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/internal/arn"
)

// Bounds of a configuration. Source: Lambda API Reference, CreateFunction. The SDK model's bounds are looser for
// managed instances, which are not here.
const (
	maxTimeoutSeconds = 900
	minMemoryMB       = 128
	maxMemoryMB       = 10240
	minEphemeralMB    = 512
	maxEphemeralMB    = 10240
	maxEnvironment    = 4096 // bytes of compact JSON
	maxHandler        = 128
	maxDescription    = 256
	maxLogGroup       = 512
)

var logGroupPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\.\-_/#A-Za-z0-9]+$`) })

// checkLimits takes the numbers that were given into c and judges everything that has a bound.
func checkLimits(v *fault.Violations, c *Configuration, timeout, memory, ephemeral *int) {
	if timeout != nil {
		v.Range("timeout", int64(*timeout), 1, maxTimeoutSeconds)
		c.Timeout = time.Duration(*timeout) * time.Second
	}
	if memory != nil {
		v.Range("memorySize", int64(*memory), minMemoryMB, maxMemoryMB)
		c.MemoryMB = *memory
	}
	if ephemeral != nil {
		v.Range("ephemeralStorage.size", int64(*ephemeral), minEphemeralMB, maxEphemeralMB)
		c.EphemeralMB = *ephemeral
	}
	if len(c.Handler) > maxHandler {
		v.Add("handler", fault.Clip(c.Handler, maxHandler), "Member must have length less than or equal to 128")
	}
	if strings.ContainsAny(c.Handler, " \t\r\n\v\f") {
		v.Add("handler", fault.Clip(c.Handler, maxHandler), `Member must satisfy regular expression pattern: [^\s]+`)
	}
	checkDescription(v, c.Description)
	if len(c.LogGroup) > maxLogGroup {
		v.Add(
			"loggingConfig.logGroup", fault.Clip(c.LogGroup, maxDescription),
			"Member must have length less than or equal to 512",
		)
	} else if c.LogGroup != "" && !logGroupPattern().MatchString(c.LogGroup) &&
		!strings.HasPrefix(c.LogGroup, "/aws/lambda/") {
		v.Add(
			"loggingConfig.logGroup", c.LogGroup, `Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`,
		)
	}
	for _, key := range sortedKeys(c.Environment) {
		if !variableName(key) {
			v.Add(
				"environment.variables", "{"+fault.Clip(key, 100)+"=***}",
				`Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]`,
			)
		}
	}
}

func variableName(s string) bool {
	return len(s) >= 2 && word(s, "") && !strings.Contains(s, "-") && !digits(s[:1]) && s[0] != '_'
}

func checkArchitectures(v *fault.Violations, c *Configuration, given []string) {
	if len(given) == 0 {
		return
	}
	shown := "[" + strings.Join(given, ", ") + "]"
	if len(given) > 1 {
		v.Add("architectures", shown, "Member must have length less than or equal to 1")
	}
	for _, a := range given {
		if a != "x86_64" && a != "arm64" {
			v.Add(
				"architectures", shown,
				"Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
			)
			break
		}
	}
	c.Architecture = given[0]
}

const rolePattern = `arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`

var roleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^role/?[a-zA-Z_0-9+=,.@\-_/]+$`) })

// checkRole returns the role's ARN with an account of 12 digits.
func checkRole(v *fault.Violations, role, caller string) string {
	if role == "" {
		return ""
	}
	a, ok := arn.Parse(role)
	account, _, digits := arn.FoldAccount(a.Account, caller)
	if !ok || !digits || a.Service != "iam" || a.Region != "" || !strings.HasPrefix(a.Partition, "aws") ||
		!roleName().MatchString(a.Resource) {
		v.Add("role", fault.Clip(role, 2048), "Member must satisfy regular expression pattern: "+rolePattern)
		return role
	}
	a.Account = account
	return a.String()
}

// runtimes is AWS's enumeration in the order in which its answers print it.
var runtimes = []string{
	"nodejs20.x", "python3.14", "provided.al2023", "python3.12", "python3.13", "nodejs24.x", "nodejs22.x", "java25",
	"python3.10", "python3.11", "java21",
	"ruby3.3", "ruby3.4", "ruby3.2", "python3.8", "python3.9", "java17", "nodejs16.x", "dotnet10", "dotnet8", "java11",
	"dotnet6", "nodejs18.x", "provided.al2", "java8.al2",
}

// retired runtimes are known but cannot be created any more on AWS. Those that still run here are accepted.
var retired = []string{
	"java8", "go1.x", "provided", "ruby2.7", "nodejs12.x", "nodejs14.x", "python3.7", "python3.6", "dotnetcore3.1",
	"ruby2.5", "nodejs10.x", "python2.7", "nodejs8.10",
}

// errMandatory is AWS's fault for a zip package without runtime or handler.
var errMandatory = fault.New(
	fault.CodeInvalidParameter,
	"Runtime and Handler are mandatory parameters for functions created with deployment packages.",
)

func checkRuntime(runtime string) error {
	known := slices.Contains(runtimes, runtime)
	switch {
	case runtime == "":
		return errMandatory
	case !known && slices.Contains(retired, runtime):
		if launcher.Runs(runtime) {
			return nil
		}
		return fault.New(fault.CodeInvalidParameter,
			"The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
			runtime)
	case !known:
		return fault.New(fault.CodeInvalidParameter,
			"Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a valid ARN",
			fault.Clip(runtime, 256), strings.Join(runtimes, ", "))
	case !launcher.Runs(runtime):
		return fault.New(
			fault.CodeInvalidParameter, "shardmill does not run %s functions yet; see docs/compat/lambda.md.", runtime,
		)
	}
	return nil
}

// reservedVariables cannot be set by customers. Source: Lambda Developer Guide, "Defined runtime environment
// variables", the reserved ones, in its order, as of 2026. The same page lists TZ, LANG and PATH as unreserved; older
// editions listed TZ here.
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
	"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
	"AWS_LAMBDA_MAX_CONCURRENCY",
	"AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN",
}

// loggingVariables tell a runtime how to log. AWS sets them from LoggingConfig and does not list them as reserved. A
// binary may use them freely; shardmill's own runtimes log only as text, so for them they are refused, in our words.
var loggingVariables = []string{"AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"}

func checkEnvironment(runtime string, env map[string]string) error {
	var reserved []string
	for _, key := range sortedKeys(env) {
		if slices.Contains(reservedVariables, key) {
			reserved = append(reserved, key)
		}
	}
	if len(reserved) > 0 {
		return fault.New(fault.CodeInvalidParameter,
			"Lambda was unable to configure your environment variables because the environment variables you have provided "+
				"contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s",
			strings.Join(reserved, ", "))
	}
	for _, key := range loggingVariables {
		if value, ok := env[key]; ok && !launcher.Custom(runtime) &&
			!(key == "AWS_LAMBDA_LOG_FORMAT" && strings.EqualFold(value, "text")) {
			return fault.New(
				fault.CodeInvalidParameter,
				"shardmill does not support the environment variable %s with %s: its runtime logs as text only.", key,
				runtime,
			)
		}
	}
	for _, key := range sortedKeys(env) {
		if strings.ContainsRune(env[key], 0) {
			return fault.New(
				fault.CodeInvalidParameter,
				"The value of the environment variable %s contains a null character, which no process can be given.",
				key,
			)
		}
	}
	if text := compactJSON(env); len(text) > maxEnvironment {
		return fault.New(fault.CodeInvalidParameter,
			"Lambda was unable to configure your environment variables because the environment variables you have provided "+
				"exceeded the 4KB limit. String measured: %s", text)
	}
	return nil
}

// compactJSON returns what AWS measures.
func compactJSON(env map[string]string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(env); err != nil {
		panic(fmt.Sprintf("encode environment: %v", err)) // a map of strings always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
