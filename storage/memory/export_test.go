package memory

// Used returns how many bytes the store counts against its limit.
func Used(s *Store) int64 { return s.used.Load() }
