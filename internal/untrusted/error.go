package untrusted

// Error returns err with the text that [Text] makes of its own. It is made once, so
// that what shows the error again and again does not read a long one each time. The
// cause is behind Unwrap. Nil stays nil, and so does an error that is fit as it is.
func Error(err error, most int) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	text := Text(was, most)
	if text == was {
		return err
	}
	return &shown{text, err}
}

type shown struct {
	text  string
	cause error
}

func (e *shown) Error() string { return e.text }
func (e *shown) Unwrap() error { return e.cause }
