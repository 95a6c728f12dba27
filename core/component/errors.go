package component

// FieldError is a mistake in a configuration struct.
type FieldError struct {
	// Path is inside the struct: "rate", "rules[2].route"; "" is the whole.
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

// FieldErrors takes a joined error apart. An error that is no [FieldError]
// becomes one about the whole.
func FieldErrors(err error) []*FieldError {
	switch e := err.(type) { //nolint:errorlint // it takes apart what was joined; a wrapped one has lost its place to stand
	case nil:
		return nil
	case *FieldError:
		return []*FieldError{e}
	case interface{ Unwrap() []error }:
		var all []*FieldError
		for _, err := range e.Unwrap() {
			all = append(all, FieldErrors(err)...)
		}
		return all
	default:
		return []*FieldError{{Err: err}}
	}
}

// JoinPath is the path of a key below another: "match.any[1]".
func JoinPath(base, path string) string {
	switch {
	case base == "":
		return path
	case path == "" || path[0] == '[':
		return base + path
	default:
		return base + "." + path
	}
}
