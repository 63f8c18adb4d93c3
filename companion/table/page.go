package table

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// MaxPageBytes is how much a query or scan reads for one page. Source: DynamoDB Developer Guide, "Quotas".
const MaxPageBytes = 1 << 20

// Range says which items a Page reads.
type Range struct {
	Index      string         // "": the table
	Query      []expr.KeyPart // of a query; nil: a scan
	Segment    int            // of a scan, 0-based
	Segments   int            // 0: the scan is not split
	After      expr.Item      // the LastEvaluatedKey of the page before; nil: from the beginning
	Descending bool           // a query in descending order
	Limit      int            // items to read, before the filter; 0: only MaxPageBytes ends the page
	Filter     expr.Condition // nil: everything
	// Filter was given as QueryFilter, for the text of its refusal
	LegacyFilter bool
	Consistent   bool
	// ALL_ATTRIBUTES: a global index that does not project them is refused; for a local one the table is read
	Everything bool
	Attributes []string // what the caller wants; nil: whatever the index has, or with Everything all
}

// Page is a part of a query or scan.
type Page struct {
	Items    []expr.Item // not to be changed by the caller
	Read     int         // items before the filter
	Last     expr.Item   // key of the last item read, when there may be more; nil at the end
	Capacity Capacity
}

// Page reads a part of a query, in the order of the range key, or of a scan, in no meaningful order. It shows one
// moment. Faults: ResourceNotFoundException; ValidationException.
func (ts *Tables) Page(_ context.Context, name Name, r Range) (Page, error) {
	leave, err := ts.enter()
	if err != nil {
		return Page{}, err
	}
	defer leave()
	t, release, err := ts.use(name)
	if err != nil {
		return Page{}, err
	}
	defer release()
	s, err := t.meta.find(r.Index)
	if err != nil {
		return Page{}, err
	}
	fetch, err := r.checkAttributes(s)
	if err != nil {
		return Page{}, err
	}
	lo, hi, err := r.bounds(s)
	if err != nil {
		return Page{}, err
	}
	p := pager{ts: ts, t: t, schema: s, want: r, fetch: fetch}
	key := func(place []byte) []byte { return itemKey(t.meta.Number, s.number, place) }
	to := indexKey(t.meta.Number, s.number+1)
	if hi != nil {
		to = key(hi)
	}
	if err := ts.local.Scan(key(lo), to, r.Descending, p.visit); err != nil {
		return Page{}, storageFault("read table "+name.ARN(), err)
	}
	if p.err != nil {
		return Page{}, storageFault("read table "+name.ARN(), p.err)
	}
	return p.done(), nil
}

// find returns the schema of an index by name.
func (m *meta) find(index string) (*schema, error) {
	for i := range m.schemas {
		if m.schemas[i].index == index {
			return &m.schemas[i], nil
		}
	}
	return nil, invalid("The table does not have the specified index: %s", index)
}

// checkAttributes refuses attributes that a global index does not have; fetch says that a local one must read the
// table.
func (r *Range) checkAttributes(s *schema) (fetch bool, err error) {
	if s.number == 0 {
		return false, nil
	}
	if !s.local && r.Consistent {
		return false, invalid("Consistent reads are not supported on global secondary indexes")
	}
	if r.Everything && s.projection != All {
		if !s.local {
			return false, invalid(
				prefixInvalid+
					"Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL",
				s.index,
			)
		}
		return true, nil
	}
	var beyond []string
	for _, name := range r.Attributes {
		if !s.projects(name) {
			beyond = append(beyond, name)
		}
	}
	if len(beyond) > 0 && !s.local {
		return false, invalid(
			prefixInvalid+"Global secondary index %s does not project [%s]", s.index, strings.Join(beyond, ", "),
		)
	}
	return len(beyond) > 0, nil
}

// bounds returns the places that the range covers; hi nil: to the end.
func (r *Range) bounds(s *schema) (lo, hi []byte, err error) {
	if r.Query != nil {
		lo, hi, err = r.queryBounds(s)
	} else {
		lo, hi = r.segmentBounds()
	}
	if err != nil || r.After == nil {
		return lo, hi, err
	}
	start, err := r.start(s, lo, hi)
	if err != nil {
		return nil, nil, err
	}
	if r.Descending {
		return lo, start, nil
	}
	return append(start, 0), hi, nil
}

// segmentBounds returns the segment's part of the hash space; all parts are equal.
func (r *Range) segmentBounds() (lo, hi []byte) {
	if r.Segments == 0 {
		return nil, nil
	}
	const space = 1 << (8 * hashBytes)
	border := func(segment int) []byte {
		v := uint64(segment) * space / uint64(r.Segments)
		return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	}
	if r.Segment+1 < r.Segments {
		hi = border(r.Segment + 1)
	}
	return border(r.Segment), hi
}

// queryBounds returns the places of the items that the key conditions select.
func (r *Range) queryBounds(s *schema) (lo, hi []byte, err error) {
	hash, sort, err := r.keyParts(s)
	if err != nil {
		return nil, nil, err
	}
	if r.Filter != nil {
		for _, name := range expr.Attributes(r.Filter) {
			if slices.ContainsFunc(s.key, func(k keyAttribute) bool { return k.name == name }) {
				filter := "Filter Expression"
				if r.LegacyFilter {
					filter = "QueryFilter"
				}
				return nil, nil, invalid(
					"%s can only contain non-primary key attributes: Primary key attribute: %s", filter, name,
				)
			}
		}
	}
	base := hashPlace(hash.Values[0])
	lo, hi = base, after(base)
	if sort == nil {
		return lo, hi, nil
	}
	at := func(i int) []byte { return appendKey(slices.Clone(base), sort.Values[i]) }
	switch sort.Operator {
	case "=":
		lo, hi = at(0), after(at(0))
	case "<":
		hi = at(0)
	case "<=":
		hi = after(at(0))
	case ">":
		lo = after(at(0))
	case ">=":
		lo = at(0)
	case "BETWEEN":
		lo, hi = at(0), after(at(1))
	case "begins_with":
		lo = appendPrefix(slices.Clone(base), sort.Values[0].Text)
		hi = after(lo)
	}
	return lo, hi, nil
}

// keyParts returns the conditions on the hash key and on the range key; the latter may be nil.
func (r *Range) keyParts(s *schema) (hash, sort *expr.KeyPart, err error) {
	for i := range r.Query {
		switch p := &r.Query[i]; {
		case p.Attribute == s.key[0].name:
			hash = p
		case len(s.key) > 1 && p.Attribute == s.key[1].name:
			sort = p
		}
	}
	switch {
	case hash == nil:
		return nil, nil, invalid("Query condition missed key schema element: %s", s.key[0].name)
	case len(r.Query) > 1 && sort == nil && len(s.key) > 1:
		return nil, nil, invalid("Query condition missed key schema element: %s", s.key[1].name)
	case hash.Operator != "=" || len(r.Query) > 1 && sort == nil:
		return nil, nil, invalid("Query key condition not supported")
	}
	for i, p := range []*expr.KeyPart{hash, sort} {
		if p == nil {
			continue
		}
		for _, v := range p.Values {
			if v.Kind != s.key[i].kind || p.Operator == "begins_with" && v.Kind == expr.N {
				return nil, nil, invalid(prefixInvalid + "Condition parameter type does not match schema type")
			}
			if err := checkKeySize(p.Attribute, v, i); err != nil {
				return nil, nil, err
			}
		}
	}
	return hash, sort, nil
}

// start returns the place of After, which must lie in the range.
func (r *Range) start(s *schema, lo, hi []byte) ([]byte, error) {
	keys := s.key
	if s.number != 0 {
		keys = slices.Concat(s.key, s.table)
	}
	distinct := map[string]bool{}
	for i, k := range keys {
		distinct[k.name] = true
		v, ok := r.After[k.name]
		if !ok || v.Kind != k.kind {
			return nil, invalid(
				"The provided starting key is invalid: The provided key element does not match the schema",
			)
		}
		if err := checkKeySize(k.name, v, i%len(s.key)); err != nil {
			return nil, invalid("The provided starting key is invalid")
		}
	}
	if len(distinct) != len(r.After) {
		return nil, invalid("The provided starting key is invalid: The provided key element does not match the schema")
	}
	place := s.placeOf(r.After)
	if bytes.Compare(place, lo) >= 0 && (hi == nil || bytes.Compare(place, hi) < 0) {
		return place, nil
	}
	switch {
	case r.Query == nil:
		return nil,
			invalid("The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "+
				"TotalSegments: %d Segment: %d", r.Segments, r.Segment)
	case !r.sameHash(s):
		return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	return nil, invalid("The provided starting key does not match the range key predicate")
}

// sameHash reports whether After has the query's hash key.
func (r *Range) sameHash(s *schema) bool {
	return slices.ContainsFunc(r.Query, func(p expr.KeyPart) bool {
		return p.Attribute == s.key[0].name && p.Values[0].Equal(r.After[p.Attribute])
	})
}

// pager collects a page.
type pager struct {
	ts     *Tables
	t      *table
	schema *schema
	want   Range
	fetch  bool
	page   Page
	bytes  int
	last   expr.Item
	full   bool
	extra  Units // of the table, for attributes that a local index did not have
	err    error
}

// visit adds an entry; it returns false when the page is full.
func (p *pager) visit(_, v []byte) bool {
	item, err := decodeItem(v)
	if err != nil {
		p.err = err
		return false
	}
	size := expr.ItemSize(item)
	if p.page.Read > 0 && p.bytes+size > MaxPageBytes {
		p.full = true
		return false
	}
	p.bytes += size
	p.page.Read++
	p.last = item
	if p.fetch {
		if item, err = p.ts.get(p.t, p.t.meta.schemas[0].placeOf(item)); err != nil {
			p.err = err
			return false
		}
		if item == nil {
			item = p.last // deleted since: the page shows the index's moment
		}
		p.extra += readUnits(expr.ItemSize(item), p.want.Consistent)
	}
	if p.want.Filter == nil || p.want.Filter.Holds(item) {
		p.page.Items = append(p.page.Items, item)
	}
	p.full = p.want.Limit > 0 && p.page.Read == p.want.Limit
	return !p.full
}

// done returns the page. A page that ended at its limit has a Last even if nothing follows, as on AWS.
func (p *pager) done() Page {
	if p.full {
		p.page.Last = p.schema.keyOf(p.last)
	}
	p.page.Capacity.add(p.schema, readUnits(p.bytes, p.want.Consistent))
	p.page.Capacity.Table += p.extra
	return p.page
}
