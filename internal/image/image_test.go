package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/shardmill/shardmill/internal/image"
)

// options returns what a small archive is made of.
func options(t *testing.T) image.Options {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"amd64": "one", "arm64": "another", "ca": "trusted"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return image.Options{
		Binaries: []image.Binary{
			{Path: filepath.Join(dir, "amd64"), Arch: "amd64"}, {Path: filepath.Join(dir, "arm64"), Arch: "arm64"},
		},
		CA: filepath.Join(dir, "ca"), Version: "1.2.3", Tag: "shardmill:test",
	}
}

// Versions of docker before 25 read manifest.json, and take only one kind of machine. A container can write to /data,
// which belongs to its user and group, and to nobody else.
func TestOldDockersFindOneImage(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := options(t)
	slices.Reverse(o.Binaries)
	if err := image.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	var loads []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(files["manifest.json"], &loads); err != nil {
		t.Fatal(err)
	}
	if len(loads) != 1 || !slices.Equal(loads[0].RepoTags, []string{"library/shardmill:test"}) {
		t.Fatalf("%+v", loads)
	}
	for _, file := range append(loads[0].Layers, loads[0].Config) {
		if files[file] == nil {
			t.Errorf("%s is not in the archive", file)
		}
	}
	var config struct{ OS, Architecture string }
	err := json.Unmarshal(files[loads[0].Config], &config)
	if err != nil || config.OS+"/"+config.Architecture != "linux/arm64" {
		t.Errorf("%+v, %v", config, err)
	}
	base, err := gzip.NewReader(bytes.NewReader(files[loads[0].Layers[0]]))
	if err != nil {
		t.Fatal(err)
	}
	data, err := tar.NewReader(base).Next()
	if err != nil || data.Name != "data/" || data.Uid != image.User || data.Gid != image.User || data.Mode != 0o700 {
		t.Errorf("%+v, %v", data, err)
	}
}

// The same input gives the same archive, byte for byte, whenever and wherever it is made.
func TestAnArchiveIsReproducible(t *testing.T) {
	t.Parallel()
	var all [2]bytes.Buffer
	for i := range all {
		if err := image.Write(&all[i], options(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(all[0].Bytes(), all[1].Bytes()) {
		t.Error("two archives of the same input differ")
	}
}

// An archive has an image for every kind of machine, and unpacks to what the image says.
func TestAnArchiveUnpacks(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := image.Write(&b, options(t)); err != nil {
		t.Fatal(err)
	}
	for arch, content := range map[string]string{"amd64": "one", "arm64": "another"} {
		root := t.TempDir()
		owners := map[string]int{}
		own := func(path string, uid int) error {
			name, err := filepath.Rel(root, path)
			owners[name] = uid
			return err
		}

		config, err := image.Unpack(bytes.NewReader(b.Bytes()), arch, root, own)
		if err != nil {
			t.Fatal(err)
		}

		for name, want := range map[string]string{
			"usr/local/bin/shardmill": content, "etc/ssl/certs/ca-certificates.crt": "trusted",
		} {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v", arch, name, got, err)
			}
		}
		if info, err := os.Stat(filepath.Join(root, "tmp")); err != nil ||
			info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
			t.Errorf("%s: /tmp is %v, %v", arch, info, err)
		}
		for name, want := range map[string]int{"data": image.User, "usr/local/bin/shardmill": 0, "etc/passwd": 0} {
			if got, there := owners[name]; got != want || !there {
				t.Errorf("%s: %s belongs to %d", arch, name, got)
			}
		}
		if config.User != "65532:65532" || config.Labels["org.opencontainers.image.version"] != "1.2.3" {
			t.Errorf("%s: %+v", arch, config)
		}
	}
	if _, err := image.Unpack(bytes.NewReader(b.Bytes()), "riscv64", t.TempDir(), nil); err == nil {
		t.Error("there is an image for a machine that was not asked for")
	}
}

// An archive from elsewhere writes nothing outside of the place where it is unpacked, by its names or through a link.
func TestAnArchiveStaysInItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tar.Header
		want string
	}{
		{tar.Header{Name: "../evil", Typeflag: tar.TypeReg}, `"../evil" leads out of the archive`},
		{tar.Header{Name: "/evil", Typeflag: tar.TypeDir}, `"/evil" leads out of the archive`},
		{tar.Header{Name: "a/../../evil", Typeflag: tar.TypeReg}, `"a/../../evil" leads out of the archive`},
		{tar.Header{Name: "evil", Linkname: "/", Typeflag: tar.TypeSymlink}, "evil is neither a file nor a directory"},
		{tar.Header{Name: "evil", Linkname: "/etc", Typeflag: tar.TypeLink}, "evil is neither a file nor a directory"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&c.Header), w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := image.Unpack(&b, "amd64", t.TempDir(), nil); err == nil || err.Error() != c.want {
			t.Errorf("%v; want %s", err, c.want)
		}
	}
}

// The Dockerfile says of each of its images what the archive's says.
func TestTheDockerfileSaysTheSame(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	list := func(words []string) string {
		b, err := json.Marshal(words)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), ",", ", ")
	}
	c := image.Config("")
	h := c.Healthcheck
	want := []string{
		"USER " + c.User, "WORKDIR " + c.WorkingDir, "STOPSIGNAL " + c.StopSignal, "ENTRYPOINT " + list(c.Entrypoint),
		"CMD " + list(c.Cmd),
		fmt.Sprintf("HEALTHCHECK --interval=%s --timeout=%s --start-period=%s --retries=%d CMD %s",
			h.Interval, h.Timeout, h.StartPeriod, h.Retries, list(h.Test[1:])),
	}
	for port := range c.ExposedPorts {
		want = append(want, "EXPOSE "+strings.TrimSuffix(port, "/tcp"))
	}
	for volume := range c.Volumes {
		want = append(want, "VOLUME "+volume)
	}
	stages := strings.Split(string(text), "\nFROM ")[2:]
	if len(stages) != 3 {
		t.Fatalf("the Dockerfile has %d images", len(stages))
	}
	for i, stage := range stages {
		lines := strings.Split(stage, "\n")
		for _, w := range want {
			if !slices.Contains(lines, w) {
				t.Errorf("image %d has no line %q", i+1, w)
			}
		}
	}
	for _, e := range c.Env { // the last one is that of the archive
		if !strings.Contains(stages[2], e) {
			t.Errorf("the plain image lacks %s", e)
		}
	}
}

// compose.yaml publishes on loopback what does not authenticate, and clients call it by a name that it accepts.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Ports       []string
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	s := c.Services["shardmill"]
	if s.Image != "shardmill:latest" || !slices.Equal(s.Ports, []string{"127.0.0.1:4566:4566"}) {
		t.Errorf("%+v", s)
	}
	if at := slices.Index(s.Command, "--allow-host"); at < 0 || "http://"+s.Command[at+1]+":4566" !=
		c.Services["aws"].Environment["AWS_ENDPOINT_URL"] {
		t.Errorf("%v does not accept %s", s.Command, c.Services["aws"].Environment["AWS_ENDPOINT_URL"])
	}
}
