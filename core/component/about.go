package component

// What a configuration struct can tell of itself besides its fields, with methods of its
// pointer. Tools that check configurations ask, and what starts asks for ignored
// variables.

// Warner is a configuration struct that finds what is no mistake, but hardly what was
// meant: a value of another program's language, the port of another protocol.
type Warner interface {
	// Warn returns [FieldError]s, joined, about a configuration without mistakes. Like
	// Validate it has no side effects.
	Warn() error
}

// SampleWarner is the configuration struct of an exporter that may be meant where every
// trace is kept, but hardly where a part is: its backend makes figures of what it gets.
type SampleWarner interface {
	// WarnSampled is like [Warner]'s Warn, and asked where not all of the samplers say that
	// they leave nothing out, as [LeavesNothingOut] does.
	WarnSampled() error
}

// LeavesNothingOut is the configuration struct of a sampler by which no trace may be lost:
// it keeps everything, or only adds to what others keep.
type LeavesNothingOut interface {
	// LeavesNothingOut tells whether it is so configured, without mistakes.
	LeavesNothingOut() bool
}

// VariableReader is a configuration struct whose component reads OpenTelemetry's variables
// for what an entry leaves out.
type VariableReader interface {
	// IgnoredVariables tells which of them it does not take, and why, each with its name
	// for a path, of a configuration without mistakes. It has no side effects.
	IgnoredVariables() []*FieldError
	// TakenVariables tells which keys are taken from them, of a configuration without
	// mistakes. It has no side effects.
	TakenVariables() []TakenVariable
}

// PluginUser is a component that another program serves.
type PluginUser interface {
	// PluginStatus tells about that program. It is safe to call concurrently, also after
	// Shutdown.
	PluginStatus() PluginStatus
}

// PluginStatus is what people are told of a program that serves components.
type PluginStatus struct {
	Name  string `json:"name"`
	State string `json:"state"` // "running", "restarting", "suspended" or "stopped"
	// Restarts counts processes after the first, Calls those to the plugin and Failures
	// those of them that failed.
	Restarts uint64 `json:"restarts"`
	Calls    uint64 `json:"calls"`
	Failures uint64 `json:"failures"`
}

// TakenVariable is a key whose value is that of a variable.
type TakenVariable struct {
	Path  []string // "tls", "ca_file"
	Name  string   // "OTEL_EXPORTER_OTLP_CERTIFICATE"
	Value Secret   // as the key has it
	// Hidden tells that people are not shown the value.
	Hidden bool
}

// Connected is the configuration struct of an exporter that sends over the network.
type Connected interface {
	// Connection says where it sends, of a configuration without mistakes. Like
	// Validate it has no side effects.
	Connection() Connection
}

// Connection is what people are told of where an exporter sends. It has no secrets.
type Connection struct {
	Endpoint string `json:"endpoint,omitempty"` // "localhost:4317"
	Protocol string `json:"protocol,omitempty"` // "grpc"
	// TLS tells how the connection is secured, in words: "off", "on", "on, own CA,
	// client certificate".
	TLS string `json:"tls,omitempty"`
	// Headers are the names of the headers that are sent besides the protocol's.
	Headers []string `json:"headers,omitempty"`
}

// BuiltToCheck is the configuration struct of an exporter of which some mistakes only
// show when it is built, such as one that a plugin reads. To build it, and to shut it
// down, must leave nothing behind. Exporters of other types are never built to check
// them: they may open files.
type BuiltToCheck interface{ BuiltToCheck() }

// Warnings returns what [Warner] finds: [FieldError]s, joined, with paths inside the
// entry. It is nil for a plan with an error.
func (p Plan[T]) Warnings() error {
	w, ok := p.about().(Warner)
	if !ok {
		return nil
	}
	return w.Warn()
}

// SampleWarnings returns what [SampleWarner] finds, likewise.
func (p Plan[T]) SampleWarnings() error {
	w, ok := p.about().(SampleWarner)
	if !ok {
		return nil
	}
	return w.WarnSampled()
}

// LeavesNothingOut returns what [LeavesNothingOut] tells.
func (p Plan[T]) LeavesNothingOut() bool {
	l, ok := p.about().(LeavesNothingOut)
	return ok && l.LeavesNothingOut()
}

// IgnoredVariables returns what a [VariableReader] tells. It is nil for a plan with an
// error.
func (p Plan[T]) IgnoredVariables() []*FieldError {
	r, ok := p.about().(VariableReader)
	if !ok {
		return nil
	}
	return r.IgnoredVariables()
}

// TakenVariables returns what a [VariableReader] tells. It is nil for a plan with an
// error.
func (p Plan[T]) TakenVariables() []TakenVariable {
	r, ok := p.about().(VariableReader)
	if !ok {
		return nil
	}
	return r.TakenVariables()
}

// ReadsVariables reports whether the configuration is a [VariableReader]. It is false for
// a plan with an error.
func (p Plan[T]) ReadsVariables() bool {
	_, ok := p.about().(VariableReader)
	return ok
}

// Connection returns what [Connected] says; ok tells whether the configuration does.
func (p Plan[T]) Connection() (c Connection, ok bool) {
	if about, ok := p.about().(Connected); ok {
		return about.Connection(), true
	}
	return Connection{}, false
}

// BuiltToCheck reports whether the configuration is a [BuiltToCheck].
func (p Plan[T]) BuiltToCheck() bool {
	_, ok := p.about().(BuiltToCheck)
	return ok
}

// about is a pointer to a copy of the configuration struct; nil if the plan has an
// error.
func (p Plan[T]) about() any {
	if p.Err() != nil {
		return nil
	}
	return p.made.pointer()
}
