package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// print writes the results as a table or as JSON.
func print(w io.Writer, format string, machine []string, results []result) error {
	if format == "json" {
		return printJSON(w, machine, results)
	}
	for _, line := range machine {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "path\tours\treference\tratio\tspread\ttarget\t")
	for _, r := range results {
		for _, m := range r.figure.metrics {
			for _, row := range rows(r, m) {
				fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
			}
		}
	}
	return t.Flush()
}

// rows returns the lines of one metric: one for each reference.
func rows(r result, m metric) [][]string {
	ours := r.value(len(r.names)-1, m)
	what, shown := r.figure.what+m.suffix(), m.text(ours)
	target := ""
	if m.at > 0 {
		target = m.verdict(ours, m.at, m.text(m.at))
	}
	if len(r.names) == 1 {
		return [][]string{{what, shown, "", "", "", target}}
	}
	var out [][]string
	for ref, name := range r.names[:len(r.names)-1] {
		median, low, high := r.ratio(ref, m)
		row := []string{
			what, shown, name + " " + m.text(r.value(ref, m)), fmt.Sprintf("%.2f", median),
			fmt.Sprintf("%.2f–%.2f", low, high), target,
		}
		if bound, ok := m.of[name]; ok {
			row[5] = strings.TrimSpace(target + " " + m.verdict(median, bound, fmt.Sprintf("%.2f of %s", bound, name)))
		}
		out = append(out, row)
		what, shown, target = "", "", ""
	}
	return out
}

func (m metric) suffix() string {
	if m.name == "" {
		return ""
	}
	return ", " + m.name
}

// verdict says which bound was set and whether it was met.
func (m metric) verdict(value, bound float64, text string) string {
	sign, mark := "≥ ", "met"
	if m.lower {
		sign = "≤ "
	}
	if !m.within(value, bound) {
		mark = "MISSED"
	}
	return sign + text + ": " + mark
}

// text returns a value with its unit, with thousands separators.
func (m metric) text(v float64) string {
	s := strconv.FormatFloat(v, 'f', m.digits, 64)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole + " " + m.unit
}

// reported is a metric in the JSON output.
type reported struct {
	Figure  string               `json:"figure"`
	Metric  string               `json:"metric,omitempty"`
	What    string               `json:"what"`
	Unit    string               `json:"unit"`
	Ours    float64              `json:"ours"`
	Target  float64              `json:"target,omitempty"`
	Met     bool                 `json:"met"`
	Against map[string]against   `json:"against,omitempty"`
	Rounds  map[string][]float64 `json:"rounds"`
}

type against struct {
	Value  float64 `json:"value"`
	Ratio  float64 `json:"ratio"`
	Lowest float64 `json:"lowest"`
	Most   float64 `json:"highest"`
	Target float64 `json:"target,omitempty"`
}

func printJSON(w io.Writer, machine []string, results []result) error {
	out := struct {
		Machine []string   `json:"machine"`
		Figures []reported `json:"figures"`
	}{machine, []reported{}}
	for _, r := range results {
		for _, m := range r.figure.metrics {
			ours := r.value(len(r.names)-1, m)
			p := reported{
				Figure: r.figure.name, Metric: m.name, What: r.figure.what, Unit: m.unit, Ours: ours, Target: m.at,
				Met:     m.at == 0 || m.within(ours, m.at),
				Against: map[string]against{}, Rounds: map[string][]float64{},
			}
			for side, name := range r.names {
				p.Rounds[name] = r.column(side, m)
				if side == len(r.names)-1 {
					continue
				}
				median, low, high := r.ratio(side, m)
				p.Against[name] = against{r.value(side, m), median, low, high, m.of[name]}
				if bound, ok := m.of[name]; ok && !m.within(median, bound) {
					p.Met = false
				}
			}
			out.Figures = append(out.Figures, p)
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
