package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// mostMistakes is how many mistakes of a configuration are told.
const mostMistakes = 20

// checkConfig reads the configuration, and says which sources count and whether tracing
// is on.
func (x *examination) checkConfig() {
	var err error
	where := "the environment alone"
	if x.File == "" {
		x.inspection, err = config.InspectEnv(x.Source.Options()...)
	} else {
		where = x.File
		x.inspection, err = config.InspectFile(x.File, x.Source.Options()...)
	}
	if err != nil {
		do := "let the user of the service read the file"
		switch {
		case isDirectory(x.File):
			do = "name a file: --config FILE"
		case errors.Is(err, fs.ErrNotExist):
			do = "name the file that the service reads: --config FILE; without one, riffle.Start reads the environment alone"
		}
		x.results = append(x.results, Result{Check: "config", Status: Fault, Found: err.Error(), Do: do})
		return
	}
	x.spec = x.inspection.Spec
	read := Result{Check: "config", Status: OK, Found: "read " + where, Details: x.origins()}
	if files := x.spec.Source.Files(); len(files) > 0 {
		read.Found = "read " + strings.Join(files, ", ") + ", " + x.sectionName()
	}
	if ignored := x.siblings(); ignored != "" {
		read.Details = append(read.Details, ignored)
	}
	x.results = append(x.results, read)

	mistakes := slices.Clone(x.inspection.Mistakes)
	var doubts core.ConfigErrors
	for _, w := range x.inspection.Warnings() {
		if errors.Is(w, config.ErrNothingRead) {
			mistakes = append(mistakes, w)
		} else {
			doubts = append(doubts, w)
		}
	}
	x.broken = len(mistakes) > 0
	x.tell(mistakes, Fault, func(e *core.ConfigError) string { return x.mend(e) })
	x.tell(doubts, Warning, mendDoubt)
	x.otherVariables()
	x.checkEnabled()
}

func (x *examination) sectionName() string {
	switch {
	case x.inspection.IsOpenTelemetry():
		return "a file of OpenTelemetry's own schema: no other OTEL_* variable counts"
	case x.Source.Section == "":
		return "the whole of it"
	default:
		return "section " + x.Source.Section
	}
}

func (x *examination) tell(all core.ConfigErrors, s Status, do func(*core.ConfigError) string) {
	for i, e := range all {
		if i == mostMistakes {
			x.results = append(x.results, Result{Check: "config", Status: s, Found: fmt.Sprintf("and %d more", len(all)-i), Do: x.Program + " validate shows all"})
			return
		}
		x.results = append(x.results, Result{Check: "config", Status: s, Found: withoutSnippet(e), Do: do(e)})
	}
}

var notSet = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*) is not set: set it`)

// mend is what to do about a mistake, where the mistake does not say it itself.
func (x *examination) mend(e *core.ConfigError) string {
	text := e.Err.Error()
	switch {
	case errors.Is(e, config.ErrNothingRead):
		return "name the file that the service reads, and with --section where tracing is in it"
	case notSet.MatchString(text):
		return fmt.Sprintf("set %s for the service, and for this command", notSet.FindStringSubmatch(text)[1])
	case isVariable(e.Position):
		return "correct the variable: its value is taken as it is, with quotes and all"
	case x.File == "":
		return "correct the file"
	default:
		return fmt.Sprintf("correct it: %s validate %s shows the line", x.Program, x.File)
	}
}

// mendDoubt is what to do about what is no mistake, where it does not say it itself.
func mendDoubt(e *core.ConfigError) string {
	switch text := e.Err.Error(); {
	case isVariable(e.Position) && strings.HasSuffix(text, "ignored"):
		return "correct the variable: its value is taken as it is, with quotes and all"
	case isVariable(e.Position) && strings.Contains(text, "overridden by "):
		return "unset the variable, or what overrides it"
	case strings.HasSuffix(e.Path, "service_name"):
		return "write service_name: the name under which you look for it"
	default:
		return ""
	}
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// origins tell where the keys are set that count.
func (x *examination) origins() []string {
	var all []string
	keys := []string{"endpoint", "insecure", "sample_rate", "samplers", "exporters"}
	fields, _ := component.FieldsOf(core.Spec{})
	for _, f := range fields {
		keys = append(keys, f.Key)
	}
	for _, key := range keys {
		if by := x.inspection.SetBy(key); isVariable(by) {
			all = append(all, fmt.Sprintf("%s is set by %s", key, by))
		}
	}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		for _, t := range e.TakenVariables() {
			all = append(all, fmt.Sprintf("%s of exporter %q is set by %s", strings.Join(t.Path, "."), e.ID(), t.Name))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// isVariable tells the name of a variable from a position in a file.
func isVariable(position string) bool { return variable.MatchString(position) }

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// checkEnabled says whether tracing is on, and who says so.
func (x *examination) checkEnabled() {
	by := x.inspection.SetBy("enabled")
	if slices.ContainsFunc(x.inspection.Mistakes, func(e *core.ConfigError) bool { return e.Position == by }) {
		x.results = append(x.results, Result{Check: "enabled", Status: Skipped, Found: by + " has a mistake"})
		return
	}
	r := Result{Check: "enabled", Status: OK, Found: fmt.Sprintf("tracing is on for service %q", x.spec.ServiceName)}
	if by != "" {
		r.Found += ", says " + by
	}
	if x.spec.Enabled {
		x.results = append(x.results, r)
		return
	}
	if r.Status = Fault; x.broken && by == "" {
		return // what is wrong in the file may be just that
	}
	key := component.JoinPath(x.Source.Section, "enabled")
	switch {
	case by == "" && x.File == "":
		r.Found, r.Do = "tracing is off: nothing turns it on", "name the file that the service reads: --config FILE"
	case by == "":
		r.Found, r.Do = "tracing is off: nothing turns it on", fmt.Sprintf("write %s: true", key)
	case by == "OTEL_SDK_DISABLED":
		r.Found, r.Do = "tracing is off: OTEL_SDK_DISABLED says so", "unset OTEL_SDK_DISABLED, or write "+key+": true, which wins over it"
	case isVariable(by):
		r.Found, r.Do = "tracing is off: "+by+" says so", "unset "+by+", or set it to true"
		if x.File != "" {
			r.Found += ", and wins over the file"
		}
	default:
		r.Found, r.Do = "tracing is off: "+by+" says so", fmt.Sprintf("write %s: true there", key)
	}
	x.results = append(x.results, r)
}

// otherVariables warns of variables that look like the application's and are not read,
// because nobody has said what it is called.
func (x *examination) otherVariables() {
	section := "TRACING"
	if x.Source.Section != "" {
		section = strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(x.Source.Section))
	}
	own := strings.ToUpper(strings.NewReplacer(".", "_", "-", "_", " ", "_").Replace(x.Source.App)) + "_"
	var names []string
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		app, _, ok := strings.Cut(name, "_"+section+"_")
		if ok && app != "" && value != "" && !strings.HasPrefix(name, "OTEL_") && (x.Source.App == "" || !strings.HasPrefix(name, own)) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	app, _, _ := strings.Cut(names[0], "_"+section+"_")
	x.results = append(x.results, Result{
		Check: "config", Status: Warning, Found: fmt.Sprintf("not read: %s", strings.Join(names[:min(len(names), mostMistakes)], ", ")),
		Do: fmt.Sprintf("if the service reads them, as riffle.App(%[1]q) does, add --app %[1]s", strings.ToLower(app)),
	})
}

// maxSiblings is how many keys beside the section are named.
const maxSiblings = 12

// siblings tells which keys stand beside the section: nothing of them is read.
func (x *examination) siblings() string {
	beside, more := x.inspection.Beside(), ""
	if len(beside) == 0 {
		return ""
	}
	if len(beside) > maxSiblings {
		more = fmt.Sprintf(" and %d more", len(beside)-maxSiblings)
		beside = beside[:maxSiblings]
	}
	return "beside the section, and not read: " + strings.Join(beside, ", ") + more
}
