package source_test

import (
	"testing"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage/memory"
)

// A registered consumer keeps the contract, too; and so does what reads again beside it.
func TestAConsumerKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		c := clock.New(0)
		return sourcetest.Consumer(t, memory.New(memory.Options{Clock: c}), c)
	})
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
			c := clock.New(0)
			b := sourcetest.Consumer(t, memory.New(memory.Options{Clock: c}), c)
			b.Source = source.Again(b.Source)
			return b
		})
	})
}
