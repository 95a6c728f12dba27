package report

import (
	"maps"
	"slices"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

func median(values []float64) float64 { return stats.Median(values) }

// versions are rows of module and version, riffle's first.
func versions(r *bench.Result) (rows [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		row := [2]string{name, r.Versions[name]}
		if name == "riffle" {
			rows = slices.Insert(rows, 0, row)
			continue
		}
		rows = append(rows, row)
	}
	return rows
}
