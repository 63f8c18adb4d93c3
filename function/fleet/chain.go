package fleet

// chain is a list whose links are inside its members, so that adding allocates nothing. A member is in at most one
// chain per link.
type chain[T any] struct {
	first, last *link[T]
	n           int
}

// link is a place in a chain. of is the member that contains it.
type link[T any] struct {
	in         *chain[T]
	prev, next *link[T]
	of         *T
}

// front returns the first member, or nil.
func (c *chain[T]) front() *T {
	if c.first == nil {
		return nil
	}
	return c.first.of
}

// back returns the last member, or nil.
func (c *chain[T]) back() *T {
	if c.last == nil {
		return nil
	}
	return c.last.of
}

// push puts a member behind all others.
func (c *chain[T]) push(l *link[T]) {
	if l.in != nil {
		broken("a member of one chain is put into another")
	}
	l.in, l.prev, l.next = c, c.last, nil
	if c.last == nil {
		c.first = l
	} else {
		c.last.next = l
	}
	c.last = l
	c.n++
}

// remove takes a member out.
func (c *chain[T]) remove(l *link[T]) {
	if l.in != c {
		broken("a member is taken out of a chain that it is not in")
	}
	if l.prev == nil {
		c.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		c.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.in, l.prev, l.next = nil, nil, nil
	c.n--
}
