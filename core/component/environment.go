package component

// EnvironmentIgnorer is implemented by configuration structs that take what they leave
// out from OTEL_* variables.
type EnvironmentIgnorer interface {
	// IgnoreEnvironment is called before the struct is read where no such variable
	// counts: another file says all, as OTEL_CONFIG_FILE does.
	IgnoreEnvironment()
}
