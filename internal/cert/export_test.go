package cert

// Kept returns how many certificates are kept.
func (a *Authority) Kept() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.leaves)
}
