package launcher

import (
	"context"
	_ "embed" // bootstrap.mjs, surroundings.cjs, imports.cjs
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed bootstrap.mjs
var nodejsBootstrap []byte

//go:embed surroundings.cjs
var nodejsSurroundings []byte

//go:embed imports.cjs
var nodejsImports []byte

// oldestNode is the oldest major version that bootstrap.mjs runs on, and the oldest runtime that functions may name.
const oldestNode = 16

func isNodejs(runtime string) bool { return nodejsMajor(runtime) >= oldestNode }

// nodejsMajor returns 22 for nodejs22.x, and 0 for anything else.
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
	bootstrap, err := l.bootstrap(r, "index.mjs", nodejsBootstrap) // the name it has in require stacks on AWS
	if err != nil {
		return Plan{}, err
	}
	surroundings, err := l.bootstrap(r, "surroundings.cjs", nodejsSurroundings)
	if err != nil {
		return Plan{}, err
	}
	if _, err := l.bootstrap(r, "imports.cjs", nodejsImports); err != nil {
		return Plan{}, err
	}
	major := nodejsMajor(r.Runtime)
	want := strconv.Itoa(major)
	args := []string{i.Path, "--expose-gc", "--max-http-header-size=81920"} // as on AWS
	if !setsHeap(r.Environment["NODE_OPTIONS"]) {
		// V8 sizes its heap by the machine, not by the function: without a limit it would grow to MemorySize instead of
		// collecting garbage. V8 adds the young generation, for which AWS uses a twentieth; that of Node.js 24 alone
		// would be 192 MB.
		args = append(
			args, fmt.Sprintf("--max-old-space-size=%d", r.MemoryMB*3/4),
			fmt.Sprintf("--max-semi-space-size=%d", max(r.MemoryMB/20, 1)),
		)
	}
	host := l.nodeModules(i)
	sdk, err := l.sdk(bundledPackages(major), host)
	if err != nil {
		return Plan{}, err
	}
	paths := []string{
		"/opt/nodejs/node" + want + "/node_modules", "/opt/nodejs/node_modules",
		filepath.Join(filepath.Dir(bootstrap), sdk.dir, "node_modules"), r.TaskRoot,
	}
	preload := "--require" // 6 ms faster than --import
	if release, _, _ := strings.Cut(i.Version, "."); len(release) > 1 && release >= "20" && brokenManifest(r.Code) {
		preload = "--import"
	}
	p := Plan{
		Path: i.Path,
		Args: append(args, preload, surroundings, bootstrap),
		Env: map[string]string{
			"PATH":            systemPath(filepath.Dir(i.Path)),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
		},
		ExecutionEnv: "AWS_Lambda_" + r.Runtime,
		RuntimeDir:   filepath.Dir(bootstrap),
		Version:      i.Version,
		Display:      "nodejs:" + want,
		SDK:          "@aws-sdk/",
		SDKHint: fmt.Sprintf("The AWS SDK for JavaScript, which AWS bundles with %s, is not part of the code package. Add it to the package, or install its clients"+
			" where shardmill is started, for example: npm install @aws-sdk/client-dynamodb", r.Runtime),
		SteersClock: true,
		Reads:       append(nodeReads(i.Path), sdk.reads...),
	}
	if l.opt.HostPackages {
		paths = append(paths, host...)
		p.Env["SHARDMILL_HOST_PACKAGES"] = "1"
		p.Reads = append(p.Reads, host...)
	}
	p.Env["NODE_PATH"] = strings.Join(paths, ":")
	if found, _, _ := strings.Cut(i.Version, "."); found != want {
		p.Display += " (running " + i.Version + ")"
		p.Hint = fmt.Sprintf(
			"%s runs on Node.js %s (%s), the nearest version found. Use --node PATH to choose another.", r.Runtime,
			i.Version, i.Path,
		)
	}
	return p, nil
}

// nodeModules returns the folders with packages on this machine: where shardmill was started and above, and those of
// this Node.
func (l *Launcher) nodeModules(i interpreter) []string {
	var dirs []string
	dir, err := filepath.Abs(l.opt.Work)
	for err == nil { // there may be no working directory
		if local := filepath.Join(dir, "node_modules"); isDir(local) {
			dirs = append(dirs, local)
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return append(dirs, filepath.Join(filepath.Dir(filepath.Dir(i.Path)), "lib", "node_modules"))
}

// nodeReads returns the directories that Node needs to start: its executable and the libraries beside it. Homebrew's
// packages link to each other.
func nodeReads(node string) []string {
	bin := filepath.Dir(node)
	if strings.HasPrefix(bin, "/usr/") || bin == "/bin" {
		return nil // the system's
	}
	dirs := []string{bin}
	if lib := filepath.Join(filepath.Dir(bin), "lib"); filepath.Base(bin) == "bin" && isDir(lib) {
		dirs = append(dirs, lib)
	}
	if brew, _, ok := strings.Cut(node, "/Cellar/"); ok {
		dirs = append(dirs, brew)
	}
	return dirs
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// brokenManifest reports whether the package has a package.json that is not JSON. Node reads it before it loads what
// --require names, and would end there; the function shall find out itself, as on AWS.
func brokenManifest(code string) bool {
	b, err := os.ReadFile(filepath.Join(code, "package.json"))
	return err == nil && !json.Valid(b)
}

// setsHeap reports whether the customer's NODE_OPTIONS set the size of the heap; Node accepts both spellings.
func setsHeap(options string) bool {
	return strings.Contains(strings.ReplaceAll(options, "_", "-"), "--max-old-space-size")
}

// searchNodejs searches in this order: Options.Node, the version's own name on PATH, node and nodejs on PATH. It takes
// the first of the runtime's major version, or else the first that works.
func (l *Launcher) searchNodejs(runtime string) search {
	want := strconv.Itoa(nodejsMajor(runtime))
	var paths []string
	for _, name := range []string{"node" + want, "node", "nodejs"} {
		paths = append(paths, l.lookPath(name)...)
	}
	return search{
		runtime: runtime, language: fmt.Sprintf("Node.js %d or later", oldestNode), named: l.opt.Node, flag: "--node",
		paths: paths, where: "PATH", install: "Node.js",
		probe: []string{"-p", `JSON.stringify({path: process.execPath, version: process.versions.node})`},
		usable: func(version string) bool {
			major, _, _ := strings.Cut(version, ".")
			n, err := strconv.Atoi(major)
			return err == nil && n >= oldestNode
		},
		exact: func(version string) bool { return strings.HasPrefix(version, want+".") },
	}
}
