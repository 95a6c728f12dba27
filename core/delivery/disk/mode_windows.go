package disk

// modes tells whether the file system keeps modes: access control lists are
// inherited here.
const modes = false
