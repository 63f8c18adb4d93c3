package function

import (
	"maps"
	"os"
	"strconv"

	"github.com/shardmill/shardmill/function/launcher"
)

// environ builds the variables of an environment from nothing: the daemon's own are never passed on. Defaults come
// first, then the customer's, then those that customers may not change. Source: Lambda Developer Guide, "Defined
// runtime environment variables".
func (e *environment) environ(plan launcher.Plan, taskRoot string) []string {
	conf := e.g.conf
	vars := map[string]string{
		"LANG":                      locale(),
		"TZ":                        ":UTC",
		"AWS_XRAY_CONTEXT_MISSING":  "LOG_ERROR",
		"AWS_EC2_METADATA_DISABLED": "true", // keeps SDKs from calling a metadata service that does not exist
		"HOME":                      "/tmp",
	}
	if taskRoot = e.taskRoot(taskRoot); !e.f.confined() { // /tmp is shared
		vars["TMPDIR"], vars["HOME"] = e.directory, e.directory
	}
	if url := e.f.opt.Endpoint(); url != "" {
		vars["AWS_ENDPOINT_URL"] = url
	}
	maps.Copy(vars, plan.Env)
	maps.Copy(vars, conf.Environment)
	maps.Copy(vars, map[string]string{
		"_HANDLER":                        conf.Handler,
		"AWS_REGION":                      conf.Ref.Region,
		"AWS_DEFAULT_REGION":              conf.Ref.Region, // the one that boto3 reads
		"AWS_LAMBDA_FUNCTION_NAME":        conf.Ref.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     conf.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(conf.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       conf.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      e.out.stream,
		"AWS_ACCESS_KEY_ID":               e.cred.accessKey,
		"AWS_SECRET_ACCESS_KEY":           e.cred.secret,
		"AWS_SESSION_TOKEN":               e.cred.token,
		"AWS_LAMBDA_RUNTIME_API":          e.api.Addr(),
		"LAMBDA_TASK_ROOT":                taskRoot,
		"LAMBDA_RUNTIME_DIR":              plan.RuntimeDir,
	})
	delete(vars, launcher.ClockVariable) // a function does not steer itself
	delete(vars, launcher.DirectVariable)
	if e.f.opt.SteeredClock {
		vars[launcher.ClockVariable] = strconv.FormatInt(e.f.opt.Clock.Offset().Milliseconds(), 10)
	}
	if plan.ExecutionEnv != "" {
		vars["AWS_EXECUTION_ENV"] = plan.ExecutionEnv
		vars[launcher.DirectVariable] = e.api.Addr()
	}
	env := make([]string, 0, len(vars))
	for _, key := range sortedKeys(vars) {
		env = append(env, key+"="+vars[key])
	}
	return env
}

// locale is AWS's where this machine has it.
func locale() string {
	for _, dir := range []string{"/usr/lib/locale/en_US.utf8", "/usr/lib/locale/en_US.UTF-8"} {
		if _, err := os.Stat(dir); err == nil {
			return "en_US.UTF-8"
		}
	}
	return "C.UTF-8"
}

// RuntimeVersionARN names what runs the function: it changes when the interpreter does.
func RuntimeVersionARN(c *Configuration) string {
	return "arn:aws:lambda:" + c.Ref.Region + "::runtime:" + c.RuntimeDigest
}
