// Package door lets operations into a companion between its start and its stop, and has the stop wait for those that
// are inside. It knows nothing of what they do.
package door

import "sync"

// Door is shut until Open. The zero value is ready. Safe for concurrent use.
type Door struct {
	mu     sync.Mutex
	inside *sync.WaitGroup // since the last Open; nil while shut
}

// Open lets operations in. It reports false if the door was open already.
func (d *Door) Open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside != nil {
		return false
	}
	d.inside = new(sync.WaitGroup)
	return true
}

// IsOpen reports whether operations are let in.
func (d *Door) IsOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside != nil
}

// Enter lets an operation in, which calls leave once when it has ended. A door that is shut lets nobody in: ok is
// false.
func (d *Door) Enter() (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == nil {
		return nil, false
	}
	d.inside.Add(1)
	return d.inside.Done, true
}

// Shut lets nobody in any more; wait returns when those inside have left. A door that is shut stays so: ok is false.
func (d *Door) Shut() (wait func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == nil {
		return nil, false
	}
	inside := d.inside
	d.inside = nil
	return inside.Wait, true
}
