package function

import (
	"os"
	"path/filepath"
	"syscall"
)

// A server without a directory of its own makes a temporary one. It belongs to the process that holds the lock on its
// lock file: the system releases the lock however that process ends, so a directory whose lock is free was left behind
// by a killed process.
const (
	temporaryPrefix = "shardmill-functions-"
	lockName        = "lock"
)

// makeTemporary makes a directory below parent. It is ours until lock is closed.
func makeTemporary(parent string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(parent, temporaryPrefix); err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, lockName)
	lock, err = os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		_ = removeAll(dir)
		return "", nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(lock.Name(), path) // only now can another process find it
	}
	if err != nil {
		_ = lock.Close()
		_ = removeAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// sweepTemporary removes the directories below parent that processes of this user have left behind. Others, those in
// use, and those that are just being made stay. It may run beside any number of servers that do the same.
func sweepTemporary(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Getuid() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if e.Name() != lockName { // removed last: without it the rest could not be recognised
					_ = removeAll(filepath.Join(dir, e.Name()))
				}
			}
			_ = removeAll(dir)
		}
		_ = lock.Close()
	}
}
