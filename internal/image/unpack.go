package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Unpack writes the files of an archive's image for one kind of machine below root, as a container engine does, and
// returns how it runs. own gives a file to its owner; nil: all belong to this user.
func Unpack(r io.Reader, arch, root string, own func(path string, uid int) error) (*v1.Config, error) {
	dir, err := os.MkdirTemp("", "shardmill-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := extract(r, dir, nil); err != nil {
		return nil, err
	}
	img, err := find(dir, arch)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		files, err := l.Uncompressed()
		if err != nil {
			return nil, err
		}
		err = extract(files, root, own)
		if cerr := files.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return &config.Config, nil
}

// find returns the image for one kind of machine.
func find(dir, arch string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, m := range manifest.Manifests {
		if m.Platform != nil && m.Platform.OS == "linux" && m.Platform.Architecture == arch {
			return index.Image(m.Digest)
		}
	}
	return nil, fmt.Errorf("the archive has no image for linux/%s", arch)
}

// extract writes the files and directories of a tar file below root.
func extract(r io.Reader, root string, own func(path string, uid int) error) error {
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%q leads out of the archive", h.Name)
		}
		path := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				err = write(path, in)
			}
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", h.Name)
		}
		if err == nil && own != nil {
			err = own(path, h.Uid)
		}
		if err == nil {
			err = os.Chmod(path, h.FileInfo().Mode())
		}
		if err != nil {
			return err
		}
	}
}

func write(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
