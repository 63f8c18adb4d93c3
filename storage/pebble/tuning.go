package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
)

// pebbleOptions returns the settings that the measurements were made with; each says what it is for.
func (s *Store) pebbleOptions(memTable int) *crdb.Options {
	o := &crdb.Options{
		FS:   s.files,
		Lock: s.lock,
		// Fixed, so that opening never upgrades a store in passing.
		FormatMajorVersion: crdb.FormatValueSeparation,
		CacheSize:          32 << 20,
		// Fewer, larger flushes. Pebble begins with a small one and doubles, so an idle store does not pay for it.
		MemTableSize:                uint64(memTable),
		MemTableStopWritesThreshold: 4,
		// Flushing and compacting must not pile up dirty pages in front of the next sync of the log.
		BytesPerSync: 1 << 20,
		// Retention deletes whole files. Unpaced, that stalled puts for 0.7 s; the delay lets the space come back
		// within seconds.
		TargetByteDeletionRate: 192 << 20,
		FlushDelayDeleteRange:  time.Second,
		// We handle obsolete logs: see archive.
		Cleaner: crdb.ArchiveCleaner{},
		Logger:  pebbleLogger{s},
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
	}
	o.ApplyCompressionSettings(func() crdb.DBCompressionSettings { return crdb.DBCompressionFastest })
	// Blocks of records are written once, read in order and deleted in order: compacting should move their keys only.
	o.Experimental.ValueSeparationPolicy = func() crdb.ValueSeparationPolicy {
		return crdb.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 1 << 10, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: 0.5,
		}
	}
	o.Experimental.SpanPolicyFunc = func(start []byte) (crdb.SpanPolicy, []byte, error) {
		inPlace := crdb.SpanPolicy{ValueStoragePolicy: crdb.ValueStorageLowReadLatency}
		switch {
		case len(start) == 0 || start[0] < tableBlocks:
			return inPlace, []byte{tableBlocks}, nil
		case start[0] == tableBlocks:
			return crdb.SpanPolicy{DisableValueSeparationBySuffix: true}, []byte{tableBlocks + 1}, nil
		}
		return inPlace, nil, nil
	}
	l := s.listener()
	o.EventListener = &l
	return o
}

// listener logs what an operator must know; the rest goes to Debug.
func (s *Store) listener() crdb.EventListener {
	var l crdb.EventListener
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		l = crdb.MakeLoggingEventListener(pebbleLogger{s})
	}
	// By default this is fatal. Here readers of the place get storage.ErrCorrupt, and everything else goes on.
	l.DataCorruption = func(i crdb.DataCorruptionInfo) { s.troubles.damaged(i.Path, i.Details) }
	l.FlushEnd = func(i crdb.FlushInfo) { s.troubles.announce(flushing, i.Err) }
	l.CompactionEnd = func(i crdb.CompactionInfo) { s.troubles.announce(compacting, i.Err) }
	l.BlobFileRewriteEnd = func(i crdb.BlobFileRewriteInfo) {
		// a cancelled compaction is never reported to BackgroundError
		if i.Err != nil && !errors.Is(i.Err, crdb.ErrCancelledCompaction) {
			s.troubles.failed(compacting, i.Err)
		}
	}
	l.BackgroundError = s.troubles.background
	return l
}

// pebbleLogger takes Pebble's own log lines.
type pebbleLogger struct{ s *Store }

func (l pebbleLogger) Infof(format string, args ...any) { l.debug(format, args) }

func (l pebbleLogger) Errorf(format string, args ...any) { l.debug(format, args) }

func (l pebbleLogger) debug(format string, args []any) {
	if l.s.log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.log.Debug("pebble", "line", fmt.Sprintf(format, args...))
	}
}

// Fatalf is how Pebble reports that its log or manifest could not be written. It does not expect to go on.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := newFatalError(format, args)
	if l.s.troubles.giveUp(err) {
		select {}
	}
	l.s.fail(err)
}

// fatalError is a message that Pebble calls fatal, with the error behind it.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }

func newFatalError(format string, args []any) *fatalError {
	e := &fatalError{text: fmt.Sprintf(strings.ReplaceAll(format, "%+v", "%v"), args...)} // no stacks
	for _, a := range args {
		if err, ok := a.(error); ok {
			e.cause = err
		}
	}
	return e
}
