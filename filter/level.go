package filter

// level is what is asked of one object of a record: by all patterns at once, so that the object is read once however
// many ask. Each asker has a choice; each thing that a choice depends on has a slot, which is true or false when the
// object has been read.
type level struct {
	names   []name
	byName  map[string]*name // when there are many
	initial []bool           // of the slots: what holds if nothing is there
	at      int              // of the first slot, in Matcher.slots
	askers  []asker
}

// asker is one pattern's object.
type asker struct {
	all      choice
	absent   bool // what it says when there is no such object
	negative bool // it asks for absence only, so every object in a list must agree
}

// choice holds if all its slots do, and one alternative of each of its ors.
type choice struct {
	slots []int
	ors   [][]choice
}

func (c *choice) holds(slots []bool) bool {
	for _, s := range c.slots {
		if !slots[s] {
			return false
		}
	}
	for _, or := range c.ors {
		held := false
		for i := range or {
			if held = or[i].holds(slots); held {
				break
			}
		}
		if !held {
			return false
		}
	}
	return true
}

// name is what is asked of the values of one name.
type name struct {
	text  string
	rules []slotted
	sub   *level
	slots []int // of the askers of sub, in the level that has the name
	mark  int   // of the first of its marks: one for each rule and asker, in Matcher.marks
}

type slotted struct {
	*rule
	slot int
}

// builder makes levels.
type builder struct{ slots, marks int }

// level makes the level of objects that are asked of the same object of a record.
func (b *builder) level(objects []*object) *level {
	l := &level{}
	places := map[string]int{}
	subs := [][]*object{} // by place
	for _, o := range objects {
		l.askers = append(l.askers, asker{all: l.choice(o, places, &subs), negative: o.negative()})
	}
	l.at = b.slots
	b.slots += len(l.initial)
	for i := range l.names {
		n := &l.names[i]
		n.mark = b.marks
		b.marks += len(n.rules) + len(n.slots)
		if len(subs[i]) > 0 {
			n.sub = b.level(subs[i])
			for j, slot := range n.slots {
				l.initial[slot] = n.sub.askers[j].absent
			}
		}
	}
	for i := range l.askers {
		l.askers[i].absent = l.askers[i].all.holds(l.initial)
	}
	if len(l.names) > many {
		l.byName = map[string]*name{}
		for i := range l.names {
			l.byName[l.names[i].text] = &l.names[i]
		}
	}
	return l
}

// choice gives every field of an object, and of its alternatives, a slot.
func (l *level) choice(o *object, places map[string]int, subs *[][]*object) (c choice) {
	for _, f := range o.fields {
		at, ok := places[f.name]
		if !ok {
			at = len(l.names)
			places[f.name] = at
			l.names = append(l.names, name{text: f.name})
			*subs = append(*subs, nil)
		}
		n, slot := &l.names[at], len(l.initial)
		if f.rule != nil {
			n.rules = append(n.rules, slotted{f.rule, slot})
			l.initial = append(l.initial, f.rule.absence)
		} else {
			n.slots = append(n.slots, slot)
			(*subs)[at] = append((*subs)[at], f.sub)
			l.initial = append(l.initial, false) // it is known when the level below is
		}
		c.slots = append(c.slots, slot)
	}
	for _, or := range o.ors {
		var alternatives []choice
		for _, alternative := range or {
			alternatives = append(alternatives, l.choice(alternative, places, subs))
		}
		c.ors = append(c.ors, alternatives)
	}
	return c
}

// find returns what is asked of a name, or nil.
func (l *level) find(key []byte) *name {
	if l.byName != nil {
		return l.byName[string(key)]
	}
	for i := range l.names {
		if n := &l.names[i]; n.text == string(key) {
			return n
		}
	}
	return nil
}
