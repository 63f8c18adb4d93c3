//go:build !linux

package e2e_test

import (
	"os/exec"
	"testing"
)

// offline points clients at a proxy that is not there: the nearest thing to no network that works without privileges
// here.
func offline(*testing.T) func(*exec.Cmd) { return noProxy }
