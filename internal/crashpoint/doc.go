// Package crashpoint lets a test binary, built with the tag crashpoint, kill itself at a named moment. Release builds
// contain no such code: Hit is empty.
package crashpoint

// Moments at which a crash is most likely to lose or repeat something.
const (
	// a batch is processed or a notice delivered, and no checkpoint says so yet
	Delivered = "delivered"
	SaveBegun = "save" // a checkpoint is about to be written
)
