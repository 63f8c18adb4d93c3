// Command ready is the reference for start time and idle memory: a program that links the same modules and only answers
// that it is ready. With -data it opens an empty Pebble first, as a durable server must.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// linked keeps the linker from dropping what shardmill uses and this program does not.
var linked = []any{
	(&cobra.Command{}).Execute, uuid.NewSHA1, (&errgroup.Group{}).Wait, unix.Fsync, term.IsTerminal, cbor.Unmarshal,
	cbor.Marshal, yaml.Unmarshal,
}

func main() {
	port := flag.Int("port", 0, "port")
	data := flag.String("data", "", "directory for a Pebble")
	flag.Parse()
	if err := run(*port, *data); err != nil {
		fmt.Fprintln(os.Stderr, err, len(linked))
		os.Exit(1)
	}
}

func run(port int, data string) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	if data != "" {
		db, err := pebble.Open(data, &pebble.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
	}
	var ready atomic.Bool
	ready.Store(true)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_shardmill/health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return http.Serve(l, mux)
}
