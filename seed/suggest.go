package seed

import (
	"maps"
	"slices"
	"strings"
)

// suggestion says which key was probably meant, or which keys exist.
func suggestion(got string, known map[string]value) string {
	names := slices.Sorted(maps.Keys(known))
	if m := meant(got); m != "" {
		if _, here := known[m]; here || strings.Contains(m, ",") {
			return "did you mean " + m + "?"
		}
	}
	if n := nearest(got, names); n != "" {
		return "did you mean " + n + "?"
	}
	return "known are " + strings.Join(names, ", ")
}

// nearWord returns a hint at the word that was probably meant, or "".
func nearWord(got string, words []string) string {
	if n := nearest(got, words); n != "" && n != got {
		return "; did you mean " + n + "?"
	}
	return ""
}

// nearest returns the closest name, if it is close enough for a typing error.
func nearest(got string, names []string) string {
	best, changes := "", max(2, len(got)/4)+1
	if len(got) > 200 {
		return ""
	}
	for _, n := range names {
		if d := distance(strings.ToLower(got), strings.ToLower(n)); d < changes && d < len(n) {
			best, changes = n, d
		}
	}
	return best
}

// distance returns the Levenshtein distance: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
