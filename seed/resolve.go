package seed

import (
	"strings"

	"github.com/shardmill/shardmill/internal/arn"
)

// names are the items of one section by name.
type names struct {
	what  string
	all   []string
	first map[string]Place
}

// resolve checks references between items, and completes names to ARNs. A name must be in the file; an ARN may point
// anywhere.
func (r *reader) resolve(p *Plan) {
	streams, _ := r.names("stream", p.Streams), r.names("table", p.Tables)
	queues, functions := r.names("queue", p.Queues), r.names("function", p.Functions)
	pairs := map[[2]string]Place{}
	for i := range p.Mappings {
		m := &p.Mappings[i]
		r.mapping(m, streams, queues, functions)
		source, _ := m.Input["EventSourceArn"].(string)
		pair := [2]string{m.Name, source}
		if at, twice := pairs[pair]; twice && m.Name != "" && source != "" {
			r.fail(m.At, "the mapping of %s to %s is here twice; the first is in line %d", source, m.Name, at.Line)
		}
		pairs[pair] = m.At
	}
}

func (r *reader) names(what string, items []Item) names {
	n := names{what: what, first: map[string]Place{}}
	for i := range items {
		it := &items[i]
		if it.Name == "" {
			continue // reported, or empty: the server checks names
		}
		if at, twice := n.first[it.Name]; twice {
			r.fail(it.At, "the %s %s is here twice; the first is in line %d", what, it.Name, at.Line)
			continue
		}
		n.first[it.Name] = it.At
		n.all = append(n.all, it.Name)
	}
	return n
}

// mapping checks and completes what a mapping refers to.
func (r *reader) mapping(m *Item, streams, queues, functions names) {
	if source, ok := m.Input["EventSourceArn"].(string); ok {
		m.Input["EventSourceArn"] = r.ref(m.Key("EventSourceArn"), source, streams, "kinesis", "stream/")
	}
	if m.Name != "" && !strings.HasPrefix(m.Name, "arn:") {
		r.present(m.Key("FunctionName"), m.Name, functions)
	}
	if d, ok := m.Input["DestinationConfig"].(map[string]any); ok {
		onFailure, _ := d["OnFailure"].(map[string]any) // else it has been reported
		if queue, ok := onFailure["Destination"].(string); ok {
			onFailure["Destination"] = r.ref(m.Key("DestinationConfig"), queue, queues, "sqs", "")
		}
	}
	_, at := m.Input["StartingPositionTimestamp"]
	switch position, _ := m.Input["StartingPosition"].(string); {
	case position == "AT_TIMESTAMP" && !at:
		r.fail(m.Key("StartingPosition"), "AT_TIMESTAMP needs the key StartingPositionTimestamp, in seconds since 1970")
	case position != "AT_TIMESTAMP" && at:
		r.fail(
			m.Key("StartingPositionTimestamp"),
			"StartingPositionTimestamp goes with StartingPosition AT_TIMESTAMP only",
		)
	}
}

// ref returns the ARN of the item with that name.
func (r *reader) ref(at Place, name string, in names, service, prefix string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	r.present(at, name, in)
	return arn.New(service, r.owner.Region, r.owner.Account, prefix+name).String()
}

// present reports a name that no item in the file has.
func (r *reader) present(at Place, name string, in names) {
	if _, ok := in.first[name]; ok {
		return
	}
	hint := "; name one of this file, or write an ARN"
	if n := nearest(name, in.all); n != "" {
		hint = "; did you mean " + n + "?"
	}
	r.fail(at, "there is no %s %s in this file%s", in.what, clip(name), hint)
}
