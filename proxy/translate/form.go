package translate

import (
	"net/url"
	"path"
	"strings"
)

// Form returns a form, of a body or of a query, with the names of the other side. What does not change keeps its
// spelling.
func (s *Service) Form(n Names, form string) string {
	request, _ := s.trees()
	parts := strings.Split(form, "&")
	type parameter struct{ name, value string }
	decoded := make([]parameter, len(parts))
	values := map[string]string{} // of short parameters, for the names in pairs
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		var err error
		if decoded[i].name, err = url.QueryUnescape(name); err != nil {
			return form // its receiver refuses it
		}
		if decoded[i].value, err = url.QueryUnescape(value); err != nil {
			return form
		}
		if len(value) <= maxName {
			values[decoded[i].name] = decoded[i].value
		}
	}
	changed := false
	for i, p := range decoded {
		k := request.find(formPath(p.name))
		if k == nothing {
			k = s.paired(request, formPath(p.name), func(last, sibling string) string {
				return values[strings.TrimSuffix(p.name, last)+sibling]
			})
		}
		if v := n.value(k, p.value); v != p.value {
			name, _, _ := strings.Cut(parts[i], "=")
			parts[i], changed = name+"="+url.QueryEscape(v), true
		}
	}
	if !changed {
		return form
	}
	return strings.Join(parts, "&")
}

// maxName bounds the names in pairs, in bytes.
const maxName = 256

// formPath returns the place of a parameter: without numbers, and without the names that only lists have.
func formPath(name string) string {
	var names []string
	for part := range strings.SplitSeq(name, ".") {
		if part != "member" && part != "entry" && !number(part) {
			names = append(names, part)
		}
	}
	return strings.Join(names, "/")
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// splitLast parts the last name from a path.
func splitLast(where string) (list, last string) {
	list, last = path.Split(where)
	return strings.TrimSuffix(list, "/"), last
}

// paired returns what the value of a pair holds. beside returns the value of a sibling of the last name of where.
func (s *Service) paired(t *node, where string, beside func(last, sibling string) string) kind {
	for _, p := range s.pairs {
		list, last := splitLast(where)
		if list != p.list || last != p.value {
			continue
		}
		if name := beside(last, p.name); name != "" && !strings.Contains(name, "/") {
			return t.find(p.as + "/" + name)
		}
	}
	return nothing
}
