package bench

// TargetsOfTests are those of the tests in this package, for the TestMain outside.
func TargetsOfTests() []Target { return []Target{Shop(), plainTarget()} }
