package runtimeapi

// owner says who owns the other end of a connection.
type owner uint8

const (
	foreign owner = iota // another user's
	ours                 // this user's
	nobody               // it is closed. What it sent counts only if it proves its origin
)
