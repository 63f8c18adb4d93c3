package launcher

import (
	"context"
	_ "embed" // bootstrap.mjs, surroundings.cjs
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed bootstrap.mjs
var nodejsBootstrap []byte

//go:embed surroundings.cjs
var nodejsSurroundings []byte

// oldestNode is the oldest major version that bootstrap.mjs runs on, and the oldest runtime that functions may name.
const oldestNode = 16

func isNodejs(runtime string) bool { return nodejsMajor(runtime) >= oldestNode }

// nodejsMajor is 22 for nodejs22.x, and 0 for what is no such identifier.
func nodejsMajor(runtime string) int {
	rest, ok := strings.CutPrefix(runtime, "nodejs")
	version, ok2 := strings.CutSuffix(rest, ".x")
	major, err := strconv.Atoi(version)
	if !ok || !ok2 || err != nil || version[0] == '+' {
		return 0
	}
	return major
}

func (l *Launcher) planNodejs(ctx context.Context, r Request) (Plan, error) {
	i, err := l.find(ctx, l.searchNodejs(r.Runtime))
	if err != nil {
		return Plan{}, err
	}
	bootstrap, err := l.bootstrap(r, "index.mjs", nodejsBootstrap) // its name on AWS, where require stacks end with it
	if err != nil {
		return Plan{}, err
	}
	surroundings, err := l.bootstrap(r, "surroundings.cjs", nodejsSurroundings)
	if err != nil {
		return Plan{}, err
	}
	want := strconv.Itoa(nodejsMajor(r.Runtime))
	args := []string{i.Path}
	if !setsHeap(r.Environment["NODE_OPTIONS"]) {
		// V8 sizes its heap by the machine, not by the function: without a limit of its own it would grow into MemorySize instead of collecting garbage.
		args = append(args, fmt.Sprintf("--max-old-space-size=%d", r.MemoryMB*3/4))
	}
	// The last two hold what AWS bundles and we do not, the SDK above all: a project's own packages, and those installed for this Node.
	local, _ := filepath.Abs(filepath.Join(l.opt.Work, "node_modules")) // "" without a working directory
	paths := []string{
		"/opt/nodejs/node" + want + "/node_modules", "/opt/nodejs/node_modules", r.TaskRoot,
		local, filepath.Join(filepath.Dir(filepath.Dir(i.Path)), "lib", "node_modules"),
	}
	p := Plan{
		Path: i.Path,
		Args: append(args, "--require", surroundings, bootstrap),
		Env: map[string]string{
			"PATH":            systemPath(filepath.Dir(i.Path)),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
			"NODE_PATH":       strings.Join(paths, ":"),
		},
		ExecutionEnv: "AWS_Lambda_" + r.Runtime,
		RuntimeDir:   filepath.Dir(bootstrap),
		Version:      i.Version,
		Display:      "nodejs:" + want,
		Reads:        append(prefixes(i.Path), local),
		SDK:          "@aws-sdk/",
		SDKHint: fmt.Sprintf("The AWS SDK for JavaScript, which AWS bundles with %s, is not part of the code package. Add it to the package, or install its clients"+
			" where shardmill is started, for example: npm install @aws-sdk/client-dynamodb", r.Runtime),
	}
	if major, _, _ := strings.Cut(i.Version, "."); major != want {
		p.Display += " (running " + i.Version + ")"
		p.Hint = fmt.Sprintf("%s runs on Node.js %s (%s), the nearest version found. Use --node PATH to choose another.", r.Runtime, i.Version, i.Path)
	}
	return p, nil
}

// setsHeap reports whether the customer's NODE_OPTIONS say how large the heap may be; Node takes both spellings.
func setsHeap(options string) bool {
	return strings.Contains(strings.ReplaceAll(options, "_", "-"), "--max-old-space-size")
}

// searchNodejs looks in this order: Options.Node, the version's own name on PATH, node and nodejs on PATH. The first of the runtime's major version is
// taken, or else the first that works.
func (l *Launcher) searchNodejs(runtime string) search {
	want := strconv.Itoa(nodejsMajor(runtime))
	var paths []string
	for _, name := range []string{"node" + want, "node", "nodejs"} {
		paths = append(paths, l.lookPath(name)...)
	}
	return search{
		runtime: runtime, language: fmt.Sprintf("Node.js %d or later", oldestNode), named: l.opt.Node, flag: "--node", paths: paths, where: "PATH", install: "Node.js",
		probe: []string{"-p", `JSON.stringify({path: process.execPath, version: process.versions.node})`},
		usable: func(version string) bool {
			major, _, _ := strings.Cut(version, ".")
			n, err := strconv.Atoi(major)
			return err == nil && n >= oldestNode
		},
		exact: func(version string) bool { return strings.HasPrefix(version, want+".") },
	}
}
