package function

import (
	"crypto/rand"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// report is the content of the END and REPORT lines of one invocation.
type report struct {
	id       string
	duration time.Duration
	init     time.Duration // 0: not the first invocation of its environment
	status   string        // "": success; timeout or error
	kind     string        // error type
	note     string        // a line before END, as for a timeout
	bytes    int           // of the answer
	tail     bool          // the caller wants LogResult
}

// emit writes the closing lines. Billed time includes the init phase since August 2025.
func (r *report) emit(o *output, memoryMB, usedMB int) {
	b := make([]byte, 0, 256)
	b = append(b, "REPORT RequestId: "...)
	b = append(b, r.id...)
	b = append(b, "\tDuration: "...)
	b = appendMillis(b, r.duration)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, int64(math.Ceil(float64(r.duration+r.init)/float64(time.Millisecond))), 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(memoryMB), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, int64(usedMB), 10)
	b = append(b, " MB\t"...)
	if r.init > 0 {
		b = append(b, "Init Duration: "...)
		b = appendMillis(b, r.init)
		b = append(b, " ms\t"...)
	}
	if r.status != "" {
		b = append(b, "Status: "...)
		b = append(b, r.status...)
		if r.kind != "" && r.status != "timeout" {
			b = append(b, "\tError Type: "...)
			b = append(b, r.kind...)
		}
		b = append(b, '\t')
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine()
	if r.note != "" {
		o.add(r.note)
	}
	o.add("END RequestId: " + r.id)
	o.add(string(b))
}

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 2, 64)
}

// streamName returns the log stream of a new environment.
func streamName(now time.Time, conf *Configuration) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	s := now.UTC().Format("2006/01/02/")
	if conf.LogGroup != DefaultLogGroup(conf.Ref.Name) {
		s += conf.Ref.Name
	}
	return s + "[" + conf.Version + "]" + hex.EncodeToString(raw[:])
}
