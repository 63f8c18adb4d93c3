// Package engine is the shell around the core: it runs event source mappings. One goroutine per mapping and shard feeds
// events to esm and carries out its commands.
//
// What flows in: records from a source, answers of functions, results of deliveries and saves, the clock. What flows
// out: invocations, notices, checkpoints, observations. It has no opinions: an if about retries, batches or checkpoints
// belongs to esm. Executor is the part without goroutines, shared with the simulator; shard.go and mapping.go are the
// goroutines. The behaviour is described at the core and in docs/compat.
package engine
