package main

import (
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logCalls is a file system that notes when a commit waits for it: while a log is made, written, synced and closed, and
// while a directory is synced. What tables and blobs wait for is left out: no commit waits for that, or should.
type logCalls struct {
	vfs.FS
	mu    sync.Mutex
	spans []span
}

// began returns what to call at the end of a call that begins now.
func (l *logCalls) began() func() {
	from := time.Now()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.spans = append(l.spans, span{from, time.Now()})
	}
}

// take returns the calls since the last time.
func (l *logCalls) take() stretches {
	l.mu.Lock()
	defer l.mu.Unlock()
	merged := merge(l.spans)
	l.spans = nil
	return merged
}

func (l *logCalls) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if filepath.Ext(name) != ".log" {
		return l.FS.Create(name, category)
	}
	defer l.began()()
	f, err := l.FS.Create(name, category)
	return l.watched(f, err)
}

func (l *logCalls) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if filepath.Ext(to) != ".log" {
		return l.FS.ReuseForWrite(from, to, category)
	}
	defer l.began()()
	f, err := l.FS.ReuseForWrite(from, to, category)
	return l.watched(f, err)
}

func (l *logCalls) OpenDir(name string) (vfs.File, error) {
	f, err := l.FS.OpenDir(name)
	return l.watched(f, err)
}

func (l *logCalls) watched(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &calledFile{f, l}, nil
}

// calledFile is a log or a directory.
type calledFile struct {
	vfs.File
	l *logCalls
}

func (f *calledFile) Write(p []byte) (int, error) {
	defer f.l.began()()
	return f.File.Write(p)
}

func (f *calledFile) Sync() error {
	defer f.l.began()()
	return f.File.Sync()
}

func (f *calledFile) SyncData() error {
	defer f.l.began()()
	return f.File.SyncData()
}

func (f *calledFile) SyncTo(length int64) (bool, error) {
	defer f.l.began()()
	return f.File.SyncTo(length)
}

func (f *calledFile) Close() error {
	defer f.l.began()()
	return f.File.Close()
}
