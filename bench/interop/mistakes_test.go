package interop

var mistakes []struct{ message, matter string }
