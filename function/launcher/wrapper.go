package launcher

import (
	"path"
	"slices"
	"strings"
)

// WrapperVariable names a program that is started instead of the runtime and gets the runtime's command as its
// arguments. AWS's managed runtimes honour it, provided.* do not. Source: Lambda Developer Guide, "Modifying the
// runtime environment", wrapper scripts.
const WrapperVariable = "AWS_LAMBDA_EXEC_WRAPPER"

// awsTaskRoot is where code is on AWS.
const awsTaskRoot = "/var/task"

// wrapperScript checks for the wrapper as AWS's runtimes do, in the process's own view: texts and exit statuses are
// theirs.
const wrapperScript = `w=$1; shift
[ -f "$w" ] || { echo "$` + WrapperVariable + `: does not exist"; exit 127; }
[ -x "$w" ] || { echo "$` + WrapperVariable + `: is not an executable"; exit 126; }
exec "$w" "$@"`

// wrap puts the wrapper in front of the plan's command.
func (p *Plan) wrap(r Request) {
	wrapper := r.Environment[WrapperVariable]
	if wrapper == "" {
		return
	}
	switch rest, ok := strings.CutPrefix(wrapper, awsTaskRoot+"/"); {
	case ok:
		wrapper = path.Join(r.TaskRoot, rest)
	case !path.IsAbs(wrapper): // the runtime starts in the task root
		wrapper = path.Join(r.TaskRoot, wrapper)
	}
	p.Args = append([]string{"sh", "-c", wrapperScript, "sh", wrapper, p.Path}, slices.Clone(p.Args[1:])...)
	p.Path = "/bin/sh"
}
