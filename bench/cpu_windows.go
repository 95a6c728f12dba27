package bench

import (
	"time"

	"golang.org/x/sys/windows"
)

// resources is what this process took so far. Page faults are not told.
func resources() (usage, error) {
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user); err != nil {
		return usage{}, err
	}
	ticks := func(f windows.Filetime) time.Duration { // of 100 ns
		return time.Duration(100 * (int64(f.HighDateTime)<<32 | int64(f.LowDateTime)))
	}
	return usage{User: ticks(user), System: ticks(kernel)}, nil
}
