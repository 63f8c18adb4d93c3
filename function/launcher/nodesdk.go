package launcher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bundledPackages returns the packages that AWS bundles with a Node.js runtime; a name that ends in / is a scope. Their
// own dependencies, such as tslib, are below them on AWS and cannot be imported by name. Source: Lambda Developer
// Guide, "Runtime-included SDK versions"; stack traces that name /var/runtime/node_modules/@aws-sdk/node_modules.
func bundledPackages(major int) []string {
	if major < 18 {
		return []string{"aws-sdk"}
	}
	return []string{"@aws-sdk/", "@smithy/"}
}

// nodeSDK is what AWS bundles, as found on this machine.
type nodeSDK struct {
	key string // changes when a package is installed or removed
	// in Options.Dir: node_modules has a link for each bundled package, installed.json says where all others are
	dir   string
	reads []string // the targets of these links, and the packages' dependencies
}

// systemModules are where distributions install packages for all programs, for hints about where a package is.
var systemModules = []string{"/usr/local/lib/node_modules", "/usr/share/nodejs", "/usr/lib/nodejs"}

// sdk finds the bundled packages in dirs, folders called node_modules; the first match wins. Each Node on this machine
// has its own set, because packages may be installed for it alone. With links the packages stay where they are, and so
// find their dependencies where the installing tool put them.
func (l *Launcher) sdk(names, dirs []string) (nodeSDK, error) {
	key := ""
	for _, dir := range append(slices.Clone(dirs), systemModules...) {
		for _, name := range append([]string{""}, names...) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				key += fmt.Sprint(" ", name, info.ModTime().UnixNano())
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id := strings.Join(append(names, dirs...), ":")
	if s, ok := l.sdks[id]; ok && s.key == key {
		return s, nil
	}
	links, installed := map[string]string{}, map[string]string{}
	for _, dir := range append(slices.Clone(dirs), systemModules...) {
		for _, name := range packagesIn(dir) {
			if _, known := installed[name]; !known {
				installed[name] = dir
			}
		}
	}
	for name, dir := range installed {
		if !slices.Contains(dirs, dir) ||
			!slices.ContainsFunc(names, func(n string) bool {
				return name == n || strings.HasSuffix(n, "/") && strings.HasPrefix(name, n)
			}) {
			continue
		}
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
			links[name] = real
		}
	}
	s := nodeSDK{key: key, reads: closure(links)}
	var err error
	if s.dir, err = l.writeLinks(links, installed); err != nil {
		return s, fmt.Errorf("link the AWS SDK for JavaScript: %w", err)
	}
	l.sdks[id] = s
	return s, nil
}

// packagesIn returns the names of the packages in dir, including those in scopes.
func packagesIn(dir string) []string {
	var names []string
	entries, _ := os.ReadDir(dir) // it may not exist
	for _, e := range entries {
		switch name := e.Name(); {
		case name[0] == '.':
		case name[0] == '@':
			scoped, _ := os.ReadDir(filepath.Join(dir, name))
			for _, e := range scoped {
				if e.Name()[0] != '.' {
					names = append(names, name+"/"+e.Name())
				}
			}
		default:
			names = append(names, name)
		}
	}
	return names
}

// writeLinks makes a directory in Options.Dir, completely or not at all. The same content gives the same directory.
func (l *Launcher) writeLinks(links, installed map[string]string) (string, error) {
	index, err := json.Marshal(installed)
	if err != nil {
		return "", err
	}
	targets, err := json.Marshal(links)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(targets, index...))
	name := "sdk-" + hex.EncodeToString(sum[:8])
	dir := filepath.Join(l.opt.Dir, name)
	if _, err := os.Stat(dir); err == nil {
		return name, nil
	}
	if err := os.MkdirAll(l.opt.Dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(l.opt.Dir, "links-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // renamed by then, or unwanted
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(tmp, "node_modules"), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(tmp, "installed.json"), index, 0o644); err != nil {
		return "", err
	}
	for name, target := range links {
		link := filepath.Join(tmp, "node_modules", name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return "", err
		}
		if err := os.Symlink(target, link); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, e := os.Stat(dir); e == nil {
			return name, nil // another call was faster
		}
		return "", err
	}
	return name, nil
}

// closure returns the directories of the packages and of everything they need according to their package.json, found as
// Node finds it: in the folders called node_modules beside and above the package. For a package in such a folder it
// returns the outermost one, since its neighbours may be links.
func closure(links map[string]string) []string {
	seen := map[string]bool{}
	var reads, next []string
	for _, real := range links {
		next = append(next, real)
	}
	for len(next) > 0 {
		dir := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[dir] {
			continue
		}
		seen[dir] = true
		reads = append(reads, installation(dir))
		for _, name := range dependencies(dir) {
			for above := dir; ; above = filepath.Dir(above) {
				at := filepath.Join(above, "node_modules", name)
				if real, err := filepath.EvalSymlinks(at); err == nil {
					reads = append(reads, installation(at))
					next = append(next, real)
					break
				}
				if above == filepath.Dir(above) {
					break // an optional one
				}
			}
		}
	}
	slices.Sort(reads)
	reads = slices.Compact(reads)
	return slices.DeleteFunc(reads, func(dir string) bool { // those inside another are visible with it
		return slices.ContainsFunc(reads, func(other string) bool {
			return strings.HasPrefix(dir, other+string(filepath.Separator))
		})
	})
}

// installation returns the outermost folder called node_modules around dir, or dir itself.
func installation(dir string) string {
	const folder = string(filepath.Separator) + "node_modules"
	if above, _, ok := strings.Cut(dir+string(filepath.Separator), folder+string(filepath.Separator)); ok {
		return above + folder
	}
	return dir
}

func dependencies(dir string) []string {
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return nil
	}
	var p struct {
		Dependencies, OptionalDependencies, PeerDependencies map[string]string
	}
	if json.Unmarshal(b, &p) != nil {
		return nil
	}
	var names []string
	for _, m := range []map[string]string{p.Dependencies, p.OptionalDependencies, p.PeerDependencies} {
		for name := range m {
			if fs.ValidPath(name) { // it becomes part of a path
				names = append(names, name)
			}
		}
	}
	return names
}
