package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/internal/cert"
)

// bareMode is the argument that turns this program into the bare server of the references: a separate process, like our
// server.
const bareMode = "bare-server"

// bare does only what every server has to do. Over net/http:
//
//	POST /sink         reads the body, answers {}
//	POST /set          keeps the body
//	POST /kept         reads the body, answers what was kept
//	POST /invoke       hands the body to a long-poll loop, answers what it returns
//	POST /put          answers {} and hands the body to a long-poll loop
//	POST /batches?n=N  hands the body to long-poll loops N times, answers when all have returned
//
// on a second port the three requests of the Lambda Runtime API, read and written by hand, and on a third one the first
// list over TLS, in HTTP/2 for those who ask for it.
type bare struct {
	kept atomic.Pointer[[]byte]
	work chan job
}

type job struct {
	payload []byte
	done    chan []byte // gets the response
}

// serveBare prints the three addresses and serves until standard input ends, which happens when the parent ends.
func serveBare(out io.Writer, in io.Reader) error {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	loops, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b := &bare{work: make(chan job, 1<<16)}
	go b.serveLoops(loops)
	go func() { _ = http.Serve(front, b.mux()) }()
	go func() { _ = (&http.Server{Handler: b.mux(), TLSConfig: certified()}).ServeTLS(secure, "", "") }()
	if _, err := fmt.Fprintln(out, front.Addr(), loops.Addr(), secure.Addr()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// certified returns settings of TLS with a certificate that is made when the first client calls.
func certified() *tls.Config {
	open := sync.OnceValues(func() (*cert.Authority, error) {
		dir, err := os.MkdirTemp("", "") // it goes with the directory of the run
		if err != nil {
			return nil, err
		}
		return cert.OpenAuthority(dir, []string{"127.0.0.1"}, func(string) bool { return false })
	})
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		a, err := open()
		if err != nil {
			return nil, err
		}
		return a.Get(hello)
	}}
}

func (b *bare) mux() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(path string, h func(r *http.Request, body []byte) []byte) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, r.ContentLength)
			if _, err := io.ReadFull(r.Body, body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			answer := h(r, body)
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			_, _ = w.Write(answer)
		})
	}
	empty := []byte("{}")
	mux.HandleFunc("POST /sink", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(empty)
	})
	mux.HandleFunc("POST /kept", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer := *b.kept.Load()
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
	handle("/set", func(_ *http.Request, body []byte) []byte {
		b.kept.Store(&body)
		return empty
	})
	handle("/invoke", func(_ *http.Request, body []byte) []byte {
		j := job{body, make(chan []byte, 1)}
		b.work <- j
		return <-j.done
	})
	handle("/put", func(_ *http.Request, body []byte) []byte {
		b.work <- job{body, make(chan []byte, 1)}
		return empty
	})
	handle("/batches", func(r *http.Request, body []byte) []byte {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		done := make(chan []byte, n)
		for range n {
			b.work <- job{body, done}
		}
		for range n {
			<-done
		}
		return empty
	})
	return mux
}

func (b *bare) serveLoops(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = b.serveLoop(conn)
		}()
	}
}

// serveLoop serves one function.
func (b *bare) serveLoop(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	var current job
	var head []byte
	for id := 0; ; {
		get, body, err := readRequest(r)
		if err != nil {
			return err
		}
		if get {
			current = <-b.work
			id++
			head = fmt.Appendf(
				head[:0],
				"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: %d\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\nContent-Length: %d\r\n\r\n",
				id, len(current.payload),
			)
			buffers := net.Buffers{head, current.payload}
			if _, err := buffers.WriteTo(conn); err != nil {
				return err
			}
			continue
		}
		current.done <- body
		if _, err := io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return err
		}
	}
}

func readRequest(r *bufio.Reader) (get bool, body []byte, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return false, nil, err
	}
	get = strings.HasPrefix(line, "GET ")
	size := 0
	for {
		if line, err = r.ReadString('\n'); err != nil {
			return false, nil, err
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			break
		}
		if strings.EqualFold(name, "Content-Length") {
			if size, err = length([]byte(strings.TrimSpace(value)), 10); err != nil {
				return false, nil, err
			}
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return get, body, err
}

// bareServer is the parent's view of a bare server.
type bareServer struct {
	addr, loops, secure string
	pid                 int
}

// bare starts one, and stops it with the stage.
func (l *lab) bare(c *cleanup) (*bareServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	defer write.Close()
	p, err := l.spawnWith(func(p *process) error {
		p.cmd.Stdout = write
		stdin, err := p.cmd.StdinPipe() // closed when this process ends, however that happens
		_ = stdin
		return err
	}, nil, self, bareMode)
	if err != nil {
		return nil, err
	}
	c.add(p.kill)
	s := &bareServer{pid: p.cmd.Process.Pid}
	_, err = fmt.Fscanln(read, &s.addr, &s.loops, &s.secure)
	return s, err
}

// post sends a body to a path, outside of any measurement.
func (s *bareServer) post(ctx context.Context, path string, body []byte) error {
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	status, answer, err := c.call(s.request(path, body))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the bare server answered %d: %s", status, answer)
	}
	return err
}

// request returns a request as long as an SDK's.
func (s *bareServer) request(path string, body []byte) []byte {
	return post(s.addr, path, "kinesis", "X-Amz-Target: Kinesis_20131202.PutRecord\r\n", body)
}

// loop starts processes that act as functions of the bare server.
func (l *lab) loop(s *bareServer, g *ledger, c *cleanup, n int, handler string) error {
	path, args := l.handler, []string(nil)
	if strings.HasPrefix(handler, "handler.") {
		path, args = l.python, []string{"-I", "-u", l.source + "/loop.py"}
	}
	env := []string{"AWS_LAMBDA_RUNTIME_API=" + s.loops, "_HANDLER=" + handler, "BENCH_LEDGER=" + g.addr()}
	for range n {
		p, err := l.spawn(env, path, args...)
		if err != nil {
			return err
		}
		c.add(p.kill)
	}
	return nil
}
