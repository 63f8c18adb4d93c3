// Package mutants checks whether a test would notice a bug: it puts one quiet bug after another into the code, each
// chosen by a reader who had not written the code, and runs the test that should catch it. A bug that passes is a
// missing test.
//
// testdata holds the bugs, one file per room; README.md there describes their form. The package contains only tests.
package mutants
