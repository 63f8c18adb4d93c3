package kinesis

import "sync"

// buffers is the memory of one request, used again by later ones: the body as sent, and the body of the answer.
type buffers struct {
	body, out []byte
}

// keepBytes is the largest buffer that waits for the next request; larger ones are left to the garbage collector.
const keepBytes = 4 << 20

var pool = sync.Pool{New: func() any { return new(buffers) }}

func takeBuffers() *buffers { return pool.Get().(*buffers) }

func (p *buffers) release() {
	if cap(p.body) > keepBytes {
		p.body = nil
	}
	if cap(p.out) > keepBytes {
		p.out = nil
	}
	pool.Put(p)
}
