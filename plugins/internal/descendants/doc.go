// Package descendants ends what a plugin has started, also what left the plugin's
// process group and session, and what has no parent any more.
//
// On Linux there are two ways, and both are taken:
//
//   - A control group (version 2) of the plugin's own, where this process may make one
//     in its own: the kernel knows all that is in it, and kills it at once.
//   - A variable of the environment, [Variable], that is another for each process of a
//     plugin. What a plugin starts inherits it, and /proc tells it. Those that were
//     started without it are found while their parents live.
//
// A process is only killed through a descriptor of itself, opened before it is looked
// at: its number may be another's by then. Nothing is changed about the host, such as
// becoming a reaper for what has lost its parent: that would be the application's too.
package descendants

// Variable marks the processes of a plugin.
const Variable = "RIFFLE_PLUGIN_RUN"
