package control

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// The longest time that a profile may be taken over.
const profileLimit = 5 * time.Minute

// listProfiles lists the profiles for go tool pprof and go tool trace. A profile reveals which functions are called and
// takes time, so it needs the token. The handlers of net/http/pprof would add a megabyte to the memory of an idle
// server.
func listProfiles(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "profile?seconds=30\ttime on processors\ntrace?seconds=1\twhat the scheduler does")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(w, "%s?debug=1\t%d\n", p.Name(), p.Count())
	}
	return nil
}

func takeProfile(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	switch name := req.PathValue("name"); name {
	case "profile":
		d, err := secondsOf(req, 30)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(w); err != nil {
			return &Problem{http.StatusConflict, "a profile is being taken already"}
		}
		defer pprof.StopCPUProfile()
		pass(req, d)
	case "trace":
		d, err := secondsOf(req, 1)
		if err != nil {
			return err
		}
		if err := trace.Start(w); err != nil {
			return &Problem{http.StatusConflict, "a trace is being taken already"}
		}
		defer trace.Stop()
		pass(req, d)
	default:
		p := pprof.Lookup(name)
		if p == nil {
			return &Problem{
				http.StatusNotFound, "there is no profile " + strconv.Quote(name) + "; " + PathProfile + " lists them",
			}
		}
		if name == "heap" && req.FormValue("gc") != "" {
			runtime.GC()
		}
		debug, _ := strconv.Atoi(req.FormValue("debug")) // 0, the binary form, if it is not a number
		if debug > 0 {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		_ = p.WriteTo(w, debug) // a client that has left
	}
	return nil
}

// secondsOf returns the duration of a profile.
func secondsOf(req *http.Request, otherwise float64) (time.Duration, error) {
	seconds := otherwise
	if text := req.FormValue("seconds"); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0) || n > profileLimit.Seconds() {
			return 0, &Problem{
				http.StatusBadRequest,
				fmt.Sprintf("seconds is %q; it must be a number up to %.0f", text, profileLimit.Seconds()),
			}
		}
		seconds = n
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// pass waits for d, or until the client leaves.
func pass(req *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-req.Context().Done():
	}
}
