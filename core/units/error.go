package units

// FieldError is a mistake in a configuration entry.
type FieldError struct {
	// Path is inside the entry: "rate", "rules[2].route"; "" is the entry.
	Path string
	Err  error
}

func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e *FieldError) Unwrap() error { return e.Err }
