package kpl

import "crypto/md5"

// Framed returns what Open takes around a message.
func Framed(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append([]byte(magic), message...), sum[:]...)
}
