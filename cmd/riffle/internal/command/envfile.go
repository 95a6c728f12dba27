package command

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/riffletrace/riffle/core"
)

// maxEnvFile bounds a file of variables.
const maxEnvFile = 1 << 20

// ReadEnvFile reads a file of variables, NAME=VALUE lines as Docker and Compose have
// them, and returns them in the form of [os.Environ]. Lines that are empty or begin
// with # are left out, and so is an export before the name. A value is taken as it is,
// up to a space and a #; in single quotes it is taken to the letter, in double quotes
// \n, \r, \t, \", \\ and \$ stand for characters. Nothing is substituted in it. Mistakes
// are [core.ConfigErrors], and show no value.
func ReadEnvFile(name string) ([]string, error) {
	data, err := ReadBounded(name, maxEnvFile)
	if err != nil {
		return nil, fmt.Errorf("reading the variables: %w", err)
	}
	return ParseEnv(name, string(data))
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseEnv is [ReadEnvFile] for what is read already.
func ParseEnv(name, text string) ([]string, error) {
	var all []string
	var mistakes core.ConfigErrors
	first := map[string]int{}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		fail := func(format string, args ...any) {
			mistakes = append(mistakes, &core.ConfigError{Position: fmt.Sprintf("%s:%d", name, n), Err: fmt.Errorf(format, args...)})
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimLeft(rest, " \t")
		}
		key, value, ok := strings.Cut(line, "=")
		switch value, why := envValue(value); {
		case !ok:
			fail("want NAME=VALUE, or # before a comment")
		case !envName.MatchString(key):
			fail("the name before = is none of a variable: want letters, digits and _, without spaces")
		case first[key] > 0:
			fail("%s is in line %d already", key, first[key])
		case why != "":
			fail("%s: %s", key, why)
		default:
			first[key] = n
			all = append(all, key+"="+value)
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return all, nil
}

// envValue reads what stands behind the =; why says what is wrong with it.
func envValue(text string) (value, why string) {
	text = strings.TrimLeft(text, " \t")
	if text == "" || text[0] != '"' && text[0] != '\'' {
		if strings.ContainsRune(text, 0) {
			return "", "there is a control character in the value"
		}
		if strings.HasPrefix(text, "#") {
			return "", ""
		}
		for _, comment := range []string{" #", "\t#"} {
			text, _, _ = strings.Cut(text, comment)
		}
		return strings.TrimRight(text, " \t"), ""
	}
	quote := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			if rest := strings.TrimLeft(text[i+1:], " \t"); rest != "" && rest[0] != '#' {
				return "", "something follows the closing quote"
			}
			return b.String(), ""
		case c == 0:
			return "", "there is a control character in the value"
		case c == '\\' && quote == '"':
			if i++; i == len(text) {
				return "", "the quote is not closed in its line"
			}
			escaped, ok := escapes[text[i]]
			if !ok {
				return "", `a \ in double quotes stands before n, r, t, ", \ or $ alone`
			}
			b.WriteByte(escaped)
		default:
			b.WriteByte(c)
		}
	}
	return "", "the quote is not closed in its line"
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '$': '$'}
