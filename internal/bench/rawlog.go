package main

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"
)

// rawLog is the physical limit of durable appends: producers hand in bytes, and one goroutine writes all that is
// waiting with one pwrite and one fdatasync, then wakes them. The file either grows, or is preallocated and overwritten
// in a circle.
type rawLog struct {
	f        *os.File
	size     int64 // of a preallocated file; 0: it grows
	at       int64
	mu       sync.Mutex
	group    *group // what is being gathered
	spare    []byte // a buffer to reuse
	nonempty chan struct{}
	done     chan struct{}
}

const preallocated = 64 << 20

func newRawLog(path string, grow bool) (*rawLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &rawLog{f: f, nonempty: make(chan struct{}, 1), done: make(chan struct{})}
	if !grow {
		w.size = preallocated
		zeros := make([]byte, 1<<20)
		for at := int64(0); at < w.size && err == nil; at += int64(len(zeros)) {
			_, err = f.WriteAt(zeros, at)
		}
		if err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

// group is the bytes of one write.
type group struct {
	bytes []byte
	done  chan struct{}
	err   error // after done
}

// append returns once the bytes are on disk.
func (w *rawLog) append(b []byte) error {
	w.mu.Lock()
	if w.group == nil {
		w.group = &group{bytes: w.spare[:0], done: make(chan struct{})}
		w.spare = nil
	}
	g := w.group
	g.bytes = append(g.bytes, b...)
	w.mu.Unlock()
	select {
	case w.nonempty <- struct{}{}:
	default:
	}
	<-g.done
	return g.err
}

func (w *rawLog) run() {
	defer close(w.done)
	for range w.nonempty {
		w.mu.Lock()
		g := w.group
		w.group = nil
		w.mu.Unlock()
		if g == nil {
			continue
		}
		g.err = w.write(g.bytes)
		w.mu.Lock()
		w.spare = g.bytes
		w.mu.Unlock()
		close(g.done)
	}
}

func (w *rawLog) write(group []byte) error {
	if w.size > 0 && w.at+int64(len(group)) > w.size {
		w.at = 0
	}
	if _, err := w.f.WriteAt(group, w.at); err != nil {
		return err
	}
	w.at += int64(len(group))
	return syncData(w.f)
}

func (w *rawLog) close() {
	close(w.nonempty)
	<-w.done
	_ = w.f.Close()
	_ = os.Remove(w.f.Name())
}

// rate lets n producers work without a pause for as long as each says, and returns records per second and their total.
// appendOne returns how many records it appended.
func rate(n int, each time.Duration, appendOne func(producer int) (records int, err error)) (float64, int64, error) {
	var mu sync.Mutex
	var total int64
	began := time.Now()
	err := together(n, func(i int) error {
		var done int64
		defer func() {
			mu.Lock()
			total += done
			mu.Unlock()
		}()
		for time.Since(began) < each {
			records, err := appendOne(i)
			done += int64(records)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return float64(total) / time.Since(began).Seconds(), total, err
}

// timed is rate for calls whose slowest matter: it returns the rate, and the 99th percentile of a call in milliseconds.
func timed(n int, each time.Duration, call func(i int) (records int, err error)) ([]float64, error) {
	took := make([][]float64, n)
	r, _, err := rate(n, each, func(i int) (int, error) {
		began := time.Now()
		records, err := call(i)
		took[i] = append(took[i], time.Since(began).Seconds()*1000)
		return records, err
	})
	return []float64{r, quantile(slices.Concat(took...), .99)}, err
}

// rawSide returns a reference that writes with a number of producers, each a number of records of size bytes at a time.
func rawSide(l *lab, c *cleanup, name string, grow bool, producers, records, size int) (side, error) {
	w, err := newRawLog(l.fresh(name), grow)
	if err != nil {
		return side{}, err
	}
	c.add(w.close)
	bytes := random(records * size)
	return side{name, func(context.Context) ([]float64, error) {
		r, _, err := rate(producers, l.opt.each, func(int) (int, error) { return records, w.append(bytes) })
		return []float64{r}, err
	}}, nil
}
