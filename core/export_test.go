package core

// OnKept makes f take what the trace buffer hands over, in place of the lines,
// whose queues are bounded. It is called before the first span starts.
func (p *Provider) OnKept(f func(Kept)) { p.pipeline.Load().buffer.deliver = f }
