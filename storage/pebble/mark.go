package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	markFile    = "MARK"
	markVersion = 1
	markSlot    = 4096 // bytes; there are two, written in turn, so that a crash leaves one whole
	markHead    = 48
	markEntry   = 16
	markLogs    = 200         // at most; far fewer logs are open at once
	markEvery   = time.Second // shortest time between two marks
)

// mark says what is known to be durable. It is written after the sync, and nothing waits for it, so it may claim too
// little but never too much. docs/format/store.md has the bytes.
type mark struct {
	turn     uint64
	at       time.Time
	closed   bool // the store was closed: nothing followed
	manifest extent
	logs     []extent // in order of their numbers
}

// extent is how many bytes of the file with that number are durable.
type extent struct {
	number uint64
	bytes  int64
}

func (m *mark) encode() []byte {
	b := make([]byte, markSlot)
	logs := m.logs[max(0, len(m.logs)-markLogs):]
	b[0] = markVersion
	if m.closed {
		b[1] = 1
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(logs)))
	binary.LittleEndian.PutUint64(b[8:], m.turn)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.at.UnixMilli()))
	binary.LittleEndian.PutUint64(b[24:], m.manifest.number)
	binary.LittleEndian.PutUint64(b[32:], uint64(m.manifest.bytes))
	for i, l := range logs {
		binary.LittleEndian.PutUint64(b[markHead+i*markEntry:], l.number)
		binary.LittleEndian.PutUint64(b[markHead+i*markEntry+8:], uint64(l.bytes))
	}
	binary.LittleEndian.PutUint32(b[4:], markSum(b))
	return b
}

func markSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[8:])
}

var errNoMark = errors.New("no mark")

func decodeMark(b []byte) (*mark, error) {
	switch {
	case len(b) != markSlot || binary.LittleEndian.Uint32(b[4:]) != markSum(b):
		return nil, errNoMark // never written, or half written
	case b[0] != markVersion:
		return nil, fmt.Errorf("a mark of version %d, this program knows version %d", b[0], markVersion)
	}
	m := &mark{
		turn: binary.LittleEndian.Uint64(b[8:]), closed: b[1]&1 != 0,
		at:       time.UnixMilli(int64(binary.LittleEndian.Uint64(b[16:]))),
		manifest: extent{binary.LittleEndian.Uint64(b[24:]), int64(binary.LittleEndian.Uint64(b[32:]))},
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n > markLogs {
		return nil, fmt.Errorf("a mark of %d logs", n)
	}
	for i := range n {
		at := markHead + i*markEntry
		m.logs = append(m.logs, extent{binary.LittleEndian.Uint64(b[at:]), int64(binary.LittleEndian.Uint64(b[at+8:]))})
	}
	return m, nil
}

// readMark returns the newer of the two marks; nil without one, as in directories of programs older than marks.
func readMark(fs vfs.FS, dir string) (*mark, error) {
	f, err := fs.Open(fs.PathJoin(dir, markFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 2*markSlot))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	var newest *mark
	for len(b) >= markSlot {
		m, err := decodeMark(b[:markSlot])
		if err != nil && !errors.Is(err, errNoMark) {
			return nil, err
		}
		if m != nil && (newest == nil || m.turn > newest.turn) {
			newest = m
		}
		b = b[markSlot:]
	}
	return newest, nil
}

// marker writes marks while the store is open.
type marker struct {
	file  vfs.File
	logs  *logs
	said  *troubles
	turn  uint64
	wake  chan struct{} // capacity 1: more is durable
	every time.Duration
	stop  chan struct{}
	ended chan struct{}
}

// newMarker returns a marker that continues after old, which may be nil.
func newMarker(fs vfs.FS, dir string, old *mark, every time.Duration, logs *logs, said *troubles) (*marker, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, markFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	m := &marker{
		file: f, logs: logs, said: said, wake: make(chan struct{}, 1), every: every, stop: make(chan struct{}),
		ended: make(chan struct{}),
	}
	if old != nil {
		m.turn = old.turn
	}
	return m, nil
}

func (m *marker) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run writes a mark whenever more is durable, then rests a second.
func (m *marker) run() {
	defer close(m.ended)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-rest.C:
		case <-m.stop:
			return
		}
		select {
		case <-m.wake:
		case <-m.stop:
			return
		}
		m.write(false)
		rest.Reset(m.every)
	}
}

// write replaces the older of the two marks with what is durable now. If that fails, the next turn makes up for it: the
// mark that remains claims less, and is true.
func (m *marker) write(closed bool) {
	manifest, logs := m.logs.durable()
	next := mark{turn: m.turn + 1, at: time.Now(), closed: closed, manifest: manifest, logs: logs}
	_, err := m.file.WriteAt(next.encode(), int64(next.turn%2)*markSlot)
	if err == nil {
		err = m.file.SyncData()
	}
	if err != nil {
		m.said.say(
			slog.LevelWarn, markFile,
			"the mark of what is durable could not be written; damage to the log may go unnoticed", "err", err,
		)
		return
	}
	m.turn = next.turn
}

// close writes the last mark. Call it after everything else is written.
func (m *marker) close() error {
	close(m.stop)
	<-m.ended
	m.write(true)
	return m.file.Close()
}
