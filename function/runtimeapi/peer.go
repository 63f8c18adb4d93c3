package runtimeapi

// owner says whose the other end of a connection is.
type owner uint8

const (
	foreign owner = iota // another user's
	ours                 // this user's
	nobody               // it is closed. What it sent counts where it proves its origin
)
