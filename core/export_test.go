package core

import "github.com/riffletrace/riffle/core/record"

// OnKept makes f take what the recorder hands over, in place of the lines,
// whose queues are bounded. It is called before the first span starts.
func (p *Provider) OnKept(f func(record.Kept)) { p.deliver = f }
