// Package arn takes Amazon resource names apart and puts them together.
package arn

import "strings"

// ARN is arn:partition:service:region:account:resource.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Parse splits s. ok is false when s does not have six parts or does not begin with arn:.
func Parse(s string) (a ARN, ok bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" {
		return ARN{}, false
	}
	return ARN{p[1], p[2], p[3], p[4], p[5]}, true
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// PartitionOf returns the partition that a region belongs to.
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// New returns an ARN in the partition of region.
func New(service, region, account, resource string) ARN {
	return ARN{PartitionOf(region), service, region, account, resource}
}

// IsAccount reports whether s is an account id: 12 digits.
func IsAccount(s string) bool {
	return len(s) == 12 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// FoldAccount applies the rule for account ids in ARNs: twelve digits are literal; one to eleven digits, as tutorials
// print them, fold to the caller's account, and folded is true. ok is false for anything else.
func FoldAccount(account, caller string) (id string, folded, ok bool) {
	if len(account) == 0 || len(account) > 12 {
		return "", false, false
	}
	for i := range len(account) {
		if account[i] < '0' || account[i] > '9' {
			return "", false, false
		}
	}
	if len(account) == 12 {
		return account, false, true
	}
	return caller, true, true
}
