package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
)

// series are those of a scrape.
type series struct {
	labels labels.Labels
	value  float64
}

// parsed reads a page as Prometheus does, with the labels that it adds.
func parsed(t *testing.T, page []byte, contentType string) (all []series) {
	t.Helper()
	p, err := textparse.New(page, contentType, nil, textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		_, _, value := p.Series()
		all = append(all, ofScrape(l, value))
	}
}

// scraped are the labels that Prometheus adds to what it scrapes.
var scraped = map[string]string{"job": "shop", "instance": "localhost:9464"}

func ofScrape(l labels.Labels, value float64) series {
	b := labels.NewBuilder(l)
	for name, value := range scraped {
		b.Set(name, value)
	}
	return series{b.Labels(), value}
}

// up is what Prometheus notes of a scrape.
func up(value float64) series {
	return ofScrape(labels.FromStrings(model.MetricNameLabel, "up"), value)
}

// exported are the values of each label of each metric.
type exported map[string]map[string]map[string]bool

func exportedBy(all []series) exported {
	e := exported{}
	for _, s := range all {
		name := s.labels.Get(model.MetricNameLabel)
		if e[name] == nil {
			e[name] = map[string]map[string]bool{}
		}
		s.labels.Range(func(l labels.Label) {
			if e[name][l.Name] == nil {
				e[name][l.Name] = map[string]bool{}
			}
			e[name][l.Name][l.Value] = true
		})
	}
	return e
}

// check finds the names, labels and values of an expression that are not exported. It
// returns the labels that what it selects has.
func (e exported) check(expr parser.Expr) (has map[string]bool, errs []error) {
	has = map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		known, ok := e[s.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("no metric %s", s.Name))
			return nil
		}
		for name := range known {
			has[name] = true
		}
		for _, m := range s.LabelMatchers {
			if _, ok := known[m.Name]; !ok {
				errs = append(errs, fmt.Errorf("%s has no label %s", s.Name, m.Name))
				continue
			}
			for _, value := range wanted(m) {
				if !known[m.Name][value] {
					errs = append(errs, fmt.Errorf("%s has no %s=%q", s.Name, m.Name, value))
				}
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		var by []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
			}
		}
		for _, name := range by {
			if !has[name] {
				errs = append(errs, fmt.Errorf("%s: nothing has the label %s", node, name))
			}
		}
		return nil
	})
	return has, errs
}

// wanted are the values that a matcher names.
func wanted(m *labels.Matcher) []string {
	switch {
	case m.Value == "" || m.Value == ".*":
		return nil
	case m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp:
		return strings.Split(m.Value, "|")
	default:
		return []string{m.Value}
	}
}

// query is an expression with the labels that are shown beside it.
type query struct {
	where, expr string
	shown       []string
}

// rules are the alerts. Prometheus's own reader checks them, and their templates.
func rules(t *testing.T, p parser.Parser) (all []query) {
	t.Helper()
	data, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(data, false, model.LegacyValidation, p, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	labelIn := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			q := query{where: r.Alert, expr: r.Expr}
			for _, text := range r.Annotations {
				for _, m := range labelIn.FindAllStringSubmatch(text, -1) {
					q.shown = append(q.shown, m[1])
				}
			}
			all = append(all, q)
		}
	}
	return all
}

// panels are the queries of the dashboard, as Grafana sends them.
func panels(t *testing.T) (all []query) {
	t.Helper()
	data, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Templating struct {
			List []struct {
				Name, Type string
				Query      json.RawMessage
			}
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	values := []string{"$__rate_interval", "5m"}
	for _, v := range dashboard.Templating.List {
		values = append(values, "$"+v.Name, ".*")
	}
	in := strings.NewReplacer(values...)
	labelIn := regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			q := query{where: p.Title, expr: in.Replace(target.Expr)}
			for _, m := range labelIn.FindAllStringSubmatch(target.LegendFormat, -1) {
				q.shown = append(q.shown, m[1])
			}
			all = append(all, q)
		}
	}
	labelValues := regexp.MustCompile(`^label_values\((.+), ([a-z_]+)\)$`)
	for _, v := range dashboard.Templating.List {
		if v.Type != "query" {
			continue
		}
		var of struct{ Query string }
		if err := json.Unmarshal(v.Query, &of); err != nil {
			t.Fatal(err)
		}
		m := labelValues.FindStringSubmatch(in.Replace(of.Query))
		if m == nil {
			t.Fatalf("variable %s: %s", v.Name, of.Query)
		}
		all = append(all, query{where: "variable " + v.Name, expr: m[1], shown: m[2:]})
	}
	return all
}

// What is asked of Prometheus is exported: names, labels, and the values of labels.
func (e exported) checkAll(t *testing.T, p parser.Parser, all []query) {
	t.Helper()
	for _, q := range all {
		expr, err := p.ParseExpr(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		has, errs := e.check(expr)
		for _, name := range q.shown {
			if !has[name] {
				errs = append(errs, fmt.Errorf("nothing has the label %s that is shown", name))
			}
		}
		if len(errs) > 0 {
			t.Errorf("%s: %v", q.where, errors.Join(errs...))
		}
	}
}

// The check finds what is not exported.
func TestCheck(t *testing.T) {
	e := exported{"a": {"__name__": {"a": true}, "job": {"shop": true}, "kind": {"x": true, "y": true}}}
	p := parser.NewParser(parser.Options{})
	for text, want := range map[string]string{
		`sum by (job) (rate(a{kind=~"x|y"}[5m])) / on (kind) a{kind!=""}`: "",
		`rate(b[5m])`:             "no metric b",
		`a{sort="x"}`:             "a has no label sort",
		`a{kind="z"}`:             `a has no kind="z"`,
		`a{kind=~"x|z"}`:          `a has no kind="z"`,
		`sum by (sort) (a)`:       "sum by (sort) (a): nothing has the label sort",
		`a / on (sort) a`:         "a / on (sort) a: nothing has the label sort",
		`a{kind=~".*"} offset 5m`: "",
	} {
		expr, err := p.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, errs := e.check(expr); len(errs) > 0 {
			got = errors.Join(errs...).Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q; known are %v", text, got, want, slices.Sorted(maps.Keys(e)))
		}
	}
}
