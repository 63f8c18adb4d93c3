// Package mutants asks whether a test would notice: it puts one quiet bug after another into the code, each chosen by a
// reader who had not written it, and runs the test that is to catch it. A bug that passes is a missing test.
//
// testdata holds the bugs, a file a room; README.md there describes their form. Nothing but tests lives here.
package mutants
