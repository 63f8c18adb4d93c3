package metric

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/storage"
)

// Keys in storage.Local; docs/format/metric.md describes them.
const (
	numberKey    = "metric/n"
	seriesPrefix = "metric/s/"
	seriesEnd    = "metric/s0" // after every series
	pointPrefix  = "metric/p/"
)

const placeVersion = 1

// end ends every part of a series' key, and the dimensions once more. No part contains it.
const end = 0

// appendID appends the parts of a metric's name; its dimensions are in order.
func appendID(dst []byte, id ID) []byte {
	for _, part := range [...]string{id.Account, id.Region, id.Namespace, id.Name} {
		dst = append(append(dst, part...), end)
	}
	for _, d := range id.Dimensions {
		dst = append(append(dst, d.Name...), end)
		dst = append(append(dst, d.Value...), end)
	}
	return append(dst, end)
}

func appendUnit(dst []byte, unit string) []byte { return append(dst, unit...) }

// parseKey parses a series' key; idLen is the length of the part that names the metric.
func parseKey(key string) (id ID, unit string, idLen int, ok bool) {
	rest := key
	next := func() string {
		part, after, found := strings.Cut(rest, "\x00")
		ok = found
		rest = after
		return part
	}
	for _, part := range [...]*string{&id.Account, &id.Region, &id.Namespace, &id.Name} {
		if *part = next(); !ok {
			return ID{}, "", 0, false
		}
	}
	for {
		name := next()
		if !ok {
			return ID{}, "", 0, false
		}
		if name == "" {
			return id, rest, len(key) - len(rest), true
		}
		value := next()
		if !ok {
			return ID{}, "", 0, false
		}
		id.Dimensions = append(id.Dimensions, Dimension{name, value})
	}
}

func seriesKey(key string) []byte { return append([]byte(seriesPrefix), key...) }

// pointKey returns the key of a minute. Minutes before 1970 sort first.
func pointKey(number uint64, minute int64) []byte {
	k := make([]byte, 0, len(pointPrefix)+16)
	k = append(k, pointPrefix...)
	k = binary.BigEndian.AppendUint64(k, number)
	return binary.BigEndian.AppendUint64(k, uint64(minute)^1<<63)
}

func minuteIn(k []byte) int64 { return int64(binary.BigEndian.Uint64(k[len(k)-8:]) ^ 1<<63) }

func appendPlace(dst []byte, p place) []byte {
	dst = append(dst, placeVersion)
	dst = binary.AppendUvarint(dst, p.number)
	return binary.AppendVarint(dst, p.active)
}

func decodePlace(v []byte) (place, error) {
	if len(v) > 1 && v[0] == placeVersion {
		number, n := binary.Uvarint(v[1:])
		if n > 0 {
			if active, k := binary.Varint(v[1+n:]); k > 0 {
				return place{number, active}, nil
			}
		}
	}
	return place{}, fmt.Errorf("a metric's entry: %w: % x", storage.ErrCorrupt, v[:min(len(v), 20)])
}
