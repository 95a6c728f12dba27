package bench

import "time"

// What it is not known how to measure here.
func faultCost() time.Duration { return 0 }
func callCost() time.Duration  { return 0 }
