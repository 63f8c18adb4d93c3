package simshell

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/shardmill/shardmill/stream"
)

// setting is one that every stream has.
type setting struct {
	name  string
	first string // its value when the stream was made
	next  func(r *rand.Rand, now string) string
	set   func(ctx context.Context, s *stream.Streams, now, next string) error
	read  func(*stream.Info) string
}

// ofStream are the settings that change.
var ofStream = []*setting{retentionOf, encryptionOf, policyOf, modeOf, sizeOf, monitoringOf}

var retentionOf = &setting{
	name: "retention", first: hours(stream.DefaultRetention.Hours()),
	next: func(r *rand.Rand, _ string) string { return pick(r, "24", "36", "48") },
	set: func(ctx context.Context, s *stream.Streams, now, next string) error {
		n := 0
		_, _ = fmt.Sscan(next, &n)
		if next < now { // both have two digits
			return s.DecreaseRetention(ctx, orders, n)
		}
		return s.IncreaseRetention(ctx, orders, n)
	},
	read: func(i *stream.Info) string { return hours(i.Retention.Hours()) },
}

func hours(n float64) string { return fmt.Sprint(int(n)) }

// encryptionOf has the key as its value. Records keep what they were put with: see judgeEncryption.
var encryptionOf = &setting{
	name: "encryption", first: absent,
	next: func(r *rand.Rand, now string) string {
		if now != absent && r.IntN(2) == 0 {
			return absent
		}
		return pick(r, "alias/one", "alias/two")
	},
	set: func(ctx context.Context, s *stream.Streams, now, next string) error {
		if next == absent {
			return s.StopEncryption(ctx, orders, stream.KMS, now)
		}
		return s.StartEncryption(ctx, orders, stream.KMS, next)
	},
	read: func(i *stream.Info) string { return i.KeyID },
}

var policyOf = &setting{
	name: "policy", first: absent,
	next: func(r *rand.Rand, now string) string {
		if now != absent && r.IntN(2) == 0 {
			return absent
		}
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"%012d"},`+
			`"Action":"kinesis:PutRecord","Resource":"*"}}`, 1+r.IntN(100))
	},
	set: func(ctx context.Context, s *stream.Streams, _, next string) error {
		if next == absent {
			return s.DeletePolicy(ctx, orders)
		}
		return s.SetPolicy(ctx, orders, next)
	},
	read: func(i *stream.Info) string { return i.Policy },
}

// modeOf is a change of the shards' kind, which goes the way of reshards.
var modeOf = &setting{
	name: "mode", first: string(stream.Provisioned),
	next: func(_ *rand.Rand, now string) string {
		if now == string(stream.OnDemand) {
			return string(stream.Provisioned)
		}
		return string(stream.OnDemand)
	},
	set: func(ctx context.Context, s *stream.Streams, _, next string) error {
		return s.SetMode(ctx, orders, stream.Mode(next), nil)
	},
	read: func(i *stream.Info) string { return string(i.Mode) },
}

var sizeOf = &setting{
	name: "record size", first: fmt.Sprint(stream.DefaultRecordBytes),
	next: func(r *rand.Rand, _ string) string { return fmt.Sprint((1 + r.IntN(10)) << 20) },
	set: func(ctx context.Context, s *stream.Streams, _, next string) error {
		n := 0
		_, _ = fmt.Sscan(next, &n)
		return s.SetRecordBytes(ctx, orders, n)
	},
	read: func(i *stream.Info) string { return fmt.Sprint(i.RecordBytes) },
}

var monitoringOf = &setting{
	name: "monitoring", first: "0",
	next: func(r *rand.Rand, _ string) string { return fmt.Sprint(r.IntN(1 << 7)) },
	set: func(ctx context.Context, s *stream.Streams, _, next string) error {
		var n stream.ShardMetrics
		_, _ = fmt.Sscan(next, &n)
		_, _, err := s.Monitor(ctx, orders, n, ^n)
		return err
	},
	read: func(i *stream.Info) string { return fmt.Sprint(int(i.Monitored)) },
}
