package importer

import "errors"

func tomlSamplers([]byte) (*object, error) {
	return nil, errors.New("rules in TOML are of Refinery 1: convert them with Refinery's tools/convert (convert rules --input rules.toml), and import the YAML")
}
