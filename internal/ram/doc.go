// Package ram determines how much memory this process may use.
package ram
