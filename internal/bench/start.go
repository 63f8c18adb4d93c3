package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

const readyPath = "/_shardmill/health/ready"

// starts measures the time from exec to the first 200 of the health endpoint, polled every millisecond, in turn with a
// program that links the same modules and only answers. Both are stripped and in the page cache.
func starts(durable bool) builder {
	return func(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
		return buildStarts(ctx, l, c, durable)
	}
}

func buildStarts(ctx context.Context, l *lab, _ *cleanup, durable bool) (*stage, error) {
	start := func(path string, args func(port int, dir string) []string) func(context.Context) ([]float64, error) {
		return func(ctx context.Context) ([]float64, error) {
			var c cleanup
			defer c.run()
			dir, err := l.scratch("start", &c)
			if err != nil {
				return nil, err
			}
			port, err := freePort()
			if err != nil {
				return nil, err
			}
			arguments := args(port, dir)
			began := time.Now()
			p, err := l.spawn(nil, path, arguments...)
			if err != nil {
				return nil, err
			}
			c.add(p.kill)
			err = ready(ctx, p, port)
			return []float64{time.Since(began).Seconds() * 1000}, err
		}
	}
	reference := start(l.ready, func(port int, dir string) []string {
		if durable {
			return []string{"-port", strconv.Itoa(port), "-data", dir}
		}
		return []string{"-port", strconv.Itoa(port)}
	})
	ours := start(l.binary, func(port int, dir string) []string {
		if durable {
			return []string{"serve", "--port", strconv.Itoa(port), "--data", dir}
		}
		return []string{"dev", "--port", strconv.Itoa(port)}
	})
	for range 3 {
		if _, err := reference(ctx); err != nil {
			return nil, err
		}
		if _, err := ours(ctx); err != nil {
			return nil, err
		}
	}
	return &stage{refs: []side{{"ready", reference}}, ours: side{"ours", ours}}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready polls every millisecond until the process answers 200.
func ready(ctx context.Context, p *process, port int) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", readyPath, addr)
	var c *connection
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); pause(time.Millisecond) {
		select {
		case <-p.done:
			return p.failed()
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if c == nil {
			var err error
			if c, err = dial(addr); err != nil {
				continue
			}
		}
		status, _, err := c.call(request)
		if err == nil && status == 200 {
			return nil
		}
		if err != nil {
			_ = c.Close()
			c = nil
		}
	}
	return errors.New("not ready within a minute")
}

// idleFor is how long processes are left idle before their memory is read.
const idleFor = 10 * time.Second

// buildIdle starts as many processes of each kind as there are rounds, leaves all of them idle together, and reads
// one of each kind per round.
func buildIdle(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	var ours, references []func() ([]float64, error)
	for range l.opt.rounds {
		dir, err := l.scratch("idle", c)
		if err != nil {
			return nil, err
		}
		our, err := l.idle(ctx, c, l.binary, [][]string{
			{"dev", "--port"}, {"serve", "--data", dir + "/ours", "--port"}, {"demo", "--port"},
		})
		if err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir+"/theirs", 0o755); err != nil {
			return nil, err
		}
		ref, err := l.idle(ctx, c, l.ready, [][]string{{"-port"}, {"-data", dir + "/theirs", "-port"}, {"-port"}})
		if err != nil {
			return nil, err
		}
		ours, references = append(ours, our), append(references, ref)
	}
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	inTurn := func(reads []func() ([]float64, error)) func(context.Context) ([]float64, error) {
		round := 0
		return func(context.Context) ([]float64, error) {
			round++
			return reads[round-1]()
		}
	}
	return &stage{refs: []side{{"ready", inTurn(references)}}, ours: side{"ours", inTurn(ours)}}, nil
}

// idle starts one process per command line, with a port as one more argument, waits until all are ready, and returns a
// function that reads their memory.
func (l *lab) idle(ctx context.Context, c *cleanup, path string, lines [][]string) (func() ([]float64, error), error) {
	var all []*process
	for _, args := range lines {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p, err := l.spawn(nil, path, append(args, strconv.Itoa(port))...)
		if err != nil {
			return nil, err
		}
		c.add(p.stop)
		if err := ready(ctx, p, port); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return func() ([]float64, error) {
		var out []float64
		for _, p := range all {
			rss, anonymous, err := resident(p.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			out = append(out, rss, anonymous)
		}
		return out, nil
	}, nil
}
