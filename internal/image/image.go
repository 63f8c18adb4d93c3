// Package image puts the binary into a container's image and writes it as an archive, without a container engine: an
// OCI layout, which is what registries hold, in a tar file that docker and podman load.
//
// In flow a binary and the certificates of this machine; out flow an archive that is the same, byte for byte, for the
// same input. What is in the image besides, and how it runs, is said here and, for those who build with a container
// engine, in the Dockerfile; a test holds the two together.
package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the id, of user and group, as which the image runs.
const User = 65532

// Config returns how a container of the image runs.
func Config(version string) v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", User, User),
		ExposedPorts: map[string]struct{}{"4566/tcp": {}},
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/data", "XDG_RUNTIME_DIR=/tmp",
			"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		},
		Entrypoint: []string{"shardmill"}, Cmd: []string{"serve", "--data", "/data"},
		Volumes: map[string]struct{}{"/data": {}}, WorkingDir: "/data", StopSignal: "SIGTERM",
		Healthcheck: &v1.HealthConfig{
			Test: []string{"CMD", "shardmill", "health"}, Interval: 10 * time.Second, Timeout: 5 * time.Second,
			StartPeriod: 10 * time.Second, Retries: 3,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "shardmill",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
}

// Binary is a program for one kind of machine.
type Binary struct {
	Path string // of the program, static
	Arch string // as Go spells it: amd64, arm64
}

// Options say what an archive is made of.
type Options struct {
	Binaries []Binary // one for each kind of machine
	CA       string   // file of the certificates that the image trusts
	Version  string
	Tag      string // the name under which docker and podman know what they have loaded
}

// authorities is where systems keep the certificates that they trust.
var authorities = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
}

// Authorities returns the file of certificates that this machine trusts.
func Authorities() (string, error) {
	for _, file := range authorities {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errors.New("this machine has no file of trusted certificates; name one with -ca")
}

// made is the time of everything in an image: it says nothing, so that the same input gives the same bytes.
var made = time.Unix(0, 0).UTC()

// Write writes an archive.
func Write(w io.Writer, o Options) error {
	tag, err := name.NewTag(o.Tag)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shardmill-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	var loads []loaded
	for _, b := range o.Binaries {
		img, err := o.image(b)
		if err != nil {
			return err
		}
		names := map[string]string{
			"io.containerd.image.name": tag.Name(), "org.opencontainers.image.ref.name": tag.TagStr(),
		}
		err = at.AppendImage(
			img, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: b.Arch}), layout.WithAnnotations(names),
		)
		if err != nil {
			return err
		}
		l, err := load(img, tag)
		if err != nil {
			return err
		}
		loads = append(loads, l)
	}
	// versions of docker before 25 load this instead of the layout; they know one kind of machine
	text, err := json.Marshal(loads[:1])
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644); err != nil {
		return err
	}
	return archive(w, dir)
}

// loaded is what docker reads in manifest.json.
type loaded struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func load(img v1.Image, tag name.Tag) (loaded, error) {
	config, err := img.ConfigName()
	if err != nil {
		return loaded{}, err
	}
	layers, err := img.Layers()
	if err != nil {
		return loaded{}, err
	}
	l := loaded{Config: blob(config), RepoTags: []string{tag.RepositoryStr() + ":" + tag.TagStr()}}
	for _, layer := range layers {
		d, err := layer.Digest()
		if err != nil {
			return loaded{}, err
		}
		l.Layers = append(l.Layers, blob(d))
	}
	return l, nil
}

func blob(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// image returns the image for one kind of machine: a layer with what seldom changes below one with the program.
func (o Options) image(b Binary) (v1.Image, error) {
	trusted, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(b.Path)
	if err != nil {
		return nil, err
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, files := range [][]file{base(trusted), {{"usr/local/bin/shardmill", 0o755, 0, program}}} {
		layer, err := layerOf(files)
		if err != nil {
			return nil, err
		}
		history := v1.History{Created: v1.Time{Time: made}}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: history}); err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", b.Arch, v1.Time{Time: made}
	config.Config = Config(o.Version)
	return mutate.ConfigFile(img, config)
}

// file is one of an image; a name that ends in a slash is a directory.
type file struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

// base is what every image has beside the program.
func base(trusted []byte) []file {
	user := fmt.Sprintf("%d:%d", User, User)
	return []file{
		{"data/", 0o700, User, nil},
		{"etc/", 0o755, 0, nil},
		{"etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\nshardmill:x:%d:\n", User)},
		{"etc/passwd", 0o644, 0, []byte("root:x:0:0:root:/:/bin/false\nshardmill:x:" + user + ":shardmill:/data:/bin/false\n")},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, trusted},
		{"tmp/", 0o1777, 0, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/local/", 0o755, 0, nil},
		{"usr/local/bin/", 0o755, 0, nil},
	}
}

func layerOf(files []file) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, ModTime: made, Size: int64(len(f.content)),
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer),
	)
}

// archive writes a directory as a tar file, in order of names.
func archive(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, p := range names {
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		h := &tar.Header{
			Name: filepath.ToSlash(rel), Mode: 0o644, ModTime: made, Size: int64(len(content)), Typeflag: tar.TypeReg,
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}
