package match

// FormOf tells what a regular expression was made into.
func FormOf(expr string) (string, error) {
	p, err := compilePattern(expr, false)
	if err != nil {
		return "", err
	}
	return p.form(), nil
}

func (p *pattern) form() string {
	switch {
	case p.literals != nil && p.start && p.end:
		return "equals"
	case p.literals != nil && p.start:
		return "prefix"
	case p.literals != nil && p.end:
		return "suffix"
	case p.literals != nil:
		return "contains"
	case p.sequence != nil:
		return "sequence"
	case p.branches != nil:
		form := ""
		for _, b := range p.branches {
			form += "|" + b.form()
		}
		return form[1:]
	default:
		return "regexp with " + p.need
	}
}

// Resources counts those that are remembered.
func (m *Matcher) Resources() int {
	if known := m.answers.Load(); known != nil {
		return len(*known)
	}
	return 0
}

// FindPattern is for regular expressions by themselves.
func FindPattern(expr string, ignoreCase bool) (func(string) bool, error) {
	p, err := compilePattern(expr, ignoreCase)
	if err != nil {
		return nil, err
	}
	return p.match, nil
}
