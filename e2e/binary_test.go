package e2e_test

import (
	"bytes"
	"os"
	"testing"
)

// The linker leaves out methods that nothing calls. One call that may reach any method, anywhere in a dependency, makes
// it keep all of them: an eighth of the binary, and of its memory at rest. The name of each function that is kept is in
// the binary.
func TestTheLinkerLeavesOutUnusedMethods(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(shardmill(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(binary, []byte("reflect.Value.Interface")) {
		t.Error("the binary does not name its functions: this test sees nothing")
	}
	for _, name := range []string{"reflect.Value.Methods", "reflect.(*Value).MethodByName"} {
		if bytes.Contains(binary, []byte(name)) {
			t.Errorf("%s is in the binary: go build -ldflags=-dumpdep ./cmd/shardmill tells what reaches it", name)
		}
	}
}
