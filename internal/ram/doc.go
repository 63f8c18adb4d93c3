// Package ram tells how much memory this process may use.
package ram
