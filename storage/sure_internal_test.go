package storage

import (
	"fmt"
	"testing"
)

// However many commits remain unknown, so many of them are remembered, the latest ones.
func TestFewUnknownCommitsAreRemembered(t *testing.T) {
	t.Parallel()
	s := new(sure)
	for i := range maxUnsure + 10 {
		s.remember([]Op{{Key: fmt.Sprint(i), Value: []byte("v")}})
	}
	if n := len(s.unsure); n != maxUnsure || s.unsure[0][0].Key != "10" {
		t.Errorf("%d are remembered, from %s on", n, s.unsure[0][0].Key)
	}
}
