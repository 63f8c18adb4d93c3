package kinesis

import (
	"sync"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/stream"
)

// call is one request on its way through an operation. Its memory is reused by later ones.
type call struct {
	caller wire.Caller
	in     encoding // of the request and of its answer
	body   []byte   // as sent; gone once the call is released
	out    []byte   // the answer's body
	hint   string
	placed stream.Placed // by PutRecord; here, as what an interface is given would be on the heap each time

	operation string          // its name; set with streams, before it is carried out
	streams   *stream.Streams // that it works with
}

// keepBytes is the largest buffer that is kept for the next request; larger ones are left to the garbage collector.
const keepBytes = 4 << 20

var pool = sync.Pool{New: func() any { return new(call) }}

func takeCall(caller wire.Caller, in encoding) *call {
	c := pool.Get().(*call)
	c.caller, c.in, c.out, c.hint = caller, in, c.out[:0], ""
	return c
}

// lend gives the buffers of c to other calls while c goes on for long. What has been read of the body stays valid.
func (c *call) lend() {
	pool.Put(&call{body: c.body, out: c.out})
	c.body, c.out = nil, nil
}

func (c *call) release() {
	if cap(c.body) > keepBytes {
		c.body = nil
	}
	if cap(c.out) > keepBytes {
		c.out = nil
	}
	pool.Put(c)
}
