package table

import (
	"context"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// Got is what a Get found.
type Got struct {
	Item     expr.Item // nil: there is none. Not to be changed by the caller
	Bytes    int       // of Item, as AWS counts
	Capacity Capacity
}

// Get reads one item. Every read sees all earlier writes; consistent only decides what AWS counts for it. Faults:
// ResourceNotFoundException; ValidationException.
func (ts *Tables) Get(_ context.Context, name Name, key expr.Item, consistent bool) (Got, error) {
	leave, err := ts.enter()
	if err != nil {
		return Got{}, err
	}
	defer leave()
	t, release, err := ts.use(name)
	if err != nil {
		return Got{}, err
	}
	defer release()
	if err := t.meta.schemas[0].checkKey(key); err != nil {
		return Got{}, err
	}
	item, err := ts.get(t, t.meta.schemas[0].placeOf(key))
	if err != nil {
		return Got{}, err
	}
	size := expr.ItemSize(item)
	return Got{item, size, Capacity{Table: readUnits(size, consistent)}}, nil
}
