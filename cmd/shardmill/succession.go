package main

// succession says which shards of a stream are to be read when: a child once all of its parents that are read have come
// to their end, so that the records of a partition key stay in order. Not safe for concurrent use.
type succession struct {
	known  map[string]bool // shards that are read now or will be, and whether they have ended
	heirs  []child         // that wait for a parent
	newest string          // of the shards that were listed; ids grow, and have the same length
}

// child is a shard as the end of its parents names it.
type child struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeys
}

// newSuccession returns the shards to begin with: those that are open, or else all whose parents are not listed.
func newSuccession(list []shard, open bool) (s *succession, first []child) {
	s = &succession{known: map[string]bool{}}
	listed := map[string]bool{}
	for i := range list {
		listed[list[i].ShardId] = true
		s.newest = max(s.newest, list[i].ShardId)
	}
	for i := range list {
		sh := &list[i]
		root := true
		for _, p := range sh.parents() {
			root = root && !listed[p]
		}
		switch {
		case open && !sh.open():
			continue
		case open || root:
			first = append(first, sh.asChild())
		default:
			s.heirs = append(s.heirs, sh.asChild())
		}
		s.known[sh.ShardId] = false
	}
	return s, first
}

// ended takes the end of a shard, with the children that it names, and returns the shards that begin now.
func (s *succession) ended(id string, children []child) (begin []child) {
	s.known[id] = true
	for _, c := range children {
		if _, known := s.known[c.ShardId]; !known {
			s.known[c.ShardId] = false
			s.heirs = append(s.heirs, c)
		}
	}
	waiting := s.heirs[:0]
	for _, c := range s.heirs {
		ready := true
		for _, p := range c.ParentShards {
			ready = ready && s.over(p)
		}
		if ready {
			begin = append(begin, c)
		} else {
			waiting = append(waiting, c)
		}
	}
	s.heirs = waiting
	return begin
}

// over reports whether nothing of a parent is left to read. One that is not known was over before reading began, unless
// it is newer than all that were listed then: it will be known when its own parents end.
func (s *succession) over(id string) bool {
	ended, known := s.known[id]
	return ended || !known && id <= s.newest
}
