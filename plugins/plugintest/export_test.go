package plugintest

import "time"

func init() { patience = 3 * time.Second }
