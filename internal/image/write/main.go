// Command write writes the archive of the container's image. It belongs to make image.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shardmill/shardmill/internal/image"
)

func main() {
	to := flag.String("o", "bin/shardmill-image.tar", "file to write")
	kinds := flag.String("platforms", "linux/"+runtime.GOARCH, "kinds of machines, with commas between them")
	ca := flag.String("ca", "", "file of the certificates that the image trusts (default: those of this machine)")
	tag := flag.String("tag", "shardmill:latest", "name under which docker and podman know what they have loaded")
	version := flag.String("version", "", "what the label says (default: what git describes)")
	flag.Parse()
	if err := run(*to, *kinds, *ca, *tag, *version); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run compiles the program for every kind of machine, and writes the archive by rename.
func run(to, kinds, ca, tag, version string) error {
	dir, err := os.MkdirTemp("", "shardmill-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := image.Options{CA: ca, Tag: tag, Version: cmp.Or(version, described())}
	if o.CA == "" {
		if o.CA, err = image.Authorities(); err != nil {
			return err
		}
	}
	for kind := range strings.SplitSeq(kinds, ",") {
		arch, ok := strings.CutPrefix(kind, "linux/")
		if !ok {
			return fmt.Errorf("-platforms: %q is none of linux/amd64, linux/arm64", kind)
		}
		b := image.Binary{Path: filepath.Join(dir, arch), Arch: arch}
		if err := compile(b); err != nil {
			return err
		}
		o.Binaries = append(o.Binaries, b)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.Create(to + ".new")
	if err != nil {
		return err
	}
	err = image.Write(f, o)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	fmt.Printf("%s: docker load -i %s, or podman load -i %s\n", to, to, to)
	return nil
}

func compile(b image.Binary) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.Path, "./cmd/shardmill")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.Arch)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func described() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
