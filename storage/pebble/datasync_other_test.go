//go:build !linux

package pebble_test

import "os"

// datasync is a whole fsync here: there is nothing smaller.
func datasync(f *os.File) error { return f.Sync() }
