package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"go.yaml.in/yaml/v4"
)

// shop is the service while it runs.
type shop struct {
	address, metrics string
	log              bytes.Buffer // to be read when it has ended
	cmd              *exec.Cmd
}

// start starts it before a backend that is dead, with few series.
func start(t *testing.T) *shop {
	t.Helper()
	program := filepath.Join(t.TempDir(), "shop")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &shop{address: port(t), metrics: port(t)}
	s.cmd = exec.CommandContext(t.Context(), program)
	s.cmd.Env = append(os.Environ(), "SHOP_LISTEN="+s.address, "SHOP_METRICS="+s.metrics, "SHOP_TRACES="+port(t), "SHOP_MAX_SERIES=4")
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			t.Logf("%s", &s.log)
		}
	})
	until(t, "it serves", func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

// stop ends it as an operator does.
func (s *shop) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &s.log)
	}
}

func port(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to it: " + what)
		}
	}
}

func ask(t *testing.T, method, url, accept string) (body []byte, contentType string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return body, resp.Header.Get("Content-Type")
}

// load is what users do: of thirty orders three fail.
func (s *shop) load(t *testing.T) {
	t.Helper()
	for i := range 30 {
		ask(t, http.MethodGet, fmt.Sprintf("http://%s/users/%d", s.address, i), "")
		ask(t, http.MethodPost, "http://"+s.address+"/checkout", "")
	}
	ask(t, http.MethodGet, "http://"+s.address+"/elsewhere", "")
}

func (s *shop) scrape(t *testing.T) []series {
	t.Helper()
	page, contentType := ask(t, http.MethodGet, "http://"+s.metrics+"/metrics", "application/openmetrics-text;version=1.0.0")
	return append(parsed(t, page, contentType), up(1))
}

// value is the sum of the series of a metric, with these labels among theirs.
func value(all []series, name string, pairs ...string) (sum float64) {
	for _, s := range all {
		is := s.labels.Get("__name__") == name
		for i := 0; i < len(pairs); i += 2 {
			is = is && s.labels.Get(pairs[i]) == pairs[i+1]
		}
		if is {
			sum += s.value
		}
	}
	return sum
}

// Everything that the alerts and the dashboard ask for is exported, the requests are
// counted as they were made, and the alerts evaluate to what is wrong here: requests fail,
// there are more series than there is room for, and the backend is dead.
func TestShop(t *testing.T) {
	s := start(t)
	s.load(t)
	const attempts = "otel_sdk_exporter_operation_duration_seconds_count"
	var before, after []series
	until(t, "an attempt fails", func() bool { before = s.scrape(t); return value(before, attempts) > 0 })
	s.load(t)
	until(t, "another attempt fails", func() bool {
		after = s.scrape(t)
		return value(after, attempts) > value(before, attempts)
	})
	s.stop(t)

	for _, want := range []struct {
		pairs []string
		count float64
	}{
		{nil, 122},
		{[]string{"span_name", "GET /users/{id}"}, 60},
		{[]string{"span_name", "POST /checkout", "status_code", "STATUS_CODE_ERROR", "http_response_status_code", "502"}, 6},
		{[]string{"otel_metric_overflow", "true"}, 2},
	} {
		if got := value(after, "traces_span_metrics_calls_total", want.pairs...); got != want.count {
			t.Errorf("%v: %v calls, want %v", want.pairs, got, want.count)
		}
	}
	p := parser.NewParser(parser.Options{})
	e, alerts := exportedBy(after), rules(t, p)
	e.checkAll(t, p, slices.Concat(alerts, panels(t)))

	db, now := stored(t, before, after)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	firing := func(db *tsdb.DB, now time.Time) (all []string) {
		for _, q := range alerts {
			if evaluated(t, engine, db, q, now) > 0 {
				all = append(all, q.where)
			}
		}
		return all
	}
	if diff := cmp.Diff([]string{"HighErrorRatio", "SpanMetricsOverflow", "ExporterFailing"}, firing(db, now)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"NotScraped"}, firing(stored(t, []series{up(0)}, []series{up(0)}))); diff != "" {
		t.Errorf("a service that is gone: %s", diff)
	}
	for _, q := range panels(t) {
		if n := evaluated(t, engine, db, q, now); n == 0 && !strings.HasPrefix(q.where, "variable") && q.where != "Not told apart" {
			t.Errorf("%s shows nothing: %s", q.where, q.expr)
		}
	}
}

// stored has two scrapes in a database, four minutes apart.
func stored(t *testing.T, before, after []series) (db *tsdb.DB, now time.Time) {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	now = time.Now()
	for i, scrape := range [][]series{before, after} {
		at := now.Add(time.Duration(i-1) * 4 * time.Minute)
		app := db.Appender(t.Context())
		for _, s := range scrape {
			if _, err := app.Append(0, s.labels, at.UnixMilli(), s.value); err != nil {
				t.Fatal(s.labels, err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db, now
}

// evaluated is how many series a query has.
func evaluated(t *testing.T, engine *promql.Engine, db *tsdb.DB, q query, now time.Time) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	asked, err := engine.NewInstantQuery(ctx, db, nil, q.expr, now)
	if err != nil {
		t.Errorf("%s: %v", q.where, err)
		return 0
	}
	defer asked.Close()
	result := asked.Exec(ctx)
	vector, err := result.Vector()
	if err = errors.Join(result.Err, err); err != nil {
		t.Errorf("%s: %v", q.where, err)
	}
	return len(vector)
}

// The scrape is of where the service serves its metrics.
func TestScrapeConfig(t *testing.T) {
	var scrape struct {
		Global        map[string]string
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	data, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Load(data, &scrape, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"alerts.yml"}, scrape.RuleFiles); diff != "" {
		t.Error(diff)
	}
	job := scrape.ScrapeConfigs[0]
	if got := map[string]string{"job": job.JobName, "instance": job.StaticConfigs[0].Targets[0]}; !cmp.Equal(got, scraped) {
		t.Error(cmp.Diff(scraped, got))
	}
	shop, err := os.ReadFile("shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "listen: ${SHOP_METRICS:-" + scraped["instance"] + "}"; !strings.Contains(string(shop), want) {
		t.Errorf("shop.yaml has no %s", want)
	}
}
