package table

// Units are capacity units, counted in halves because an eventually consistent read takes half of one.
type Units int64

// Float returns u in whole units.
func (u Units) Float() float64 { return float64(u) / 2 }

const (
	one        Units = 2
	writeBytes       = 1 << 10 // of an item per write unit
	readBytes        = 4 << 10 // of an item per read unit
)

// Capacity is what AWS counts for an operation. Source: DynamoDB Developer Guide, "DynamoDB read and write operations".
type Capacity struct {
	Table  Units
	Global map[string]Units // by index
	Local  map[string]Units
}

// Total returns the sum of the table's and all indexes' units.
func (c Capacity) Total() Units {
	sum := c.Table
	for _, u := range c.Global {
		sum += u
	}
	for _, u := range c.Local {
		sum += u
	}
	return sum
}

// Plus returns the sum of c and d.
func (c Capacity) Plus(d Capacity) Capacity {
	sum := Capacity{Table: c.Table + d.Table}
	for _, x := range []Capacity{c, d} {
		for name, u := range x.Global {
			sum.addTo(&sum.Global, name, u)
		}
		for name, u := range x.Local {
			sum.addTo(&sum.Local, name, u)
		}
	}
	return sum
}

// add adds units to an index or, for the table's own schema, to the table.
func (c *Capacity) add(s *schema, u Units) {
	switch {
	case s.number == 0:
		c.Table += u
	case u == 0:
	case s.local:
		c.addTo(&c.Local, s.index, u)
	default:
		c.addTo(&c.Global, s.index, u)
	}
}

func (*Capacity) addTo(m *map[string]Units, name string, u Units) {
	if *m == nil {
		*m = make(map[string]Units)
	}
	(*m)[name] += u
}

// writeUnits returns the units for writing an item of so many bytes; a missing item counts as one byte.
func writeUnits(bytes int) Units { return one * Units(max(1, (bytes+writeBytes-1)/writeBytes)) }

// readUnits returns the units for reading so many bytes.
func readUnits(bytes int, consistent bool) Units {
	u := Units(max(1, (bytes+readBytes-1)/readBytes))
	if consistent {
		u *= 2
	}
	return u
}
