package memory

// Used is how many bytes the store counts against its limit.
func Used(s *Store) int64 { return s.used.Load() }
