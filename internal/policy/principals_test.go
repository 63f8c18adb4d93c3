package policy

import (
	"strings"
	"testing"
)

// A denial wins behind what allows, too, in whichever order they stand and however many there are.
func TestADenialWinsBehindWhatAllows(t *testing.T) {
	t.Parallel()
	const allow = `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`
	const deny = `{"Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"kinesis:PutRecord","Resource":"*"}`
	for _, list := range []string{allow + "," + deny, deny + "," + allow, allow + "," + deny + "," + allow} {
		d, err := Parse(`{"Statement":[` + list + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Decide(put(Caller{Account: friend})); got != Denied {
			t.Errorf("%s: the decision about a friend is %d", list, got)
		}
		if got := d.Decide(put(Caller{Account: "333333333333"})); got != Allowed {
			t.Errorf("%s: the decision about a stranger is %d", list, got)
		}
		if d.Judge(put(Caller{Account: "333333333333"}), owner, false) != nil {
			t.Errorf("%s: a stranger is refused", list)
		}
		if r := d.Judge(put(Caller{Account: friend}), friend, false); r == nil || !r.Denied {
			t.Errorf("%s: an owner is not held to what the policy denies: %+v", list, r)
		}
		if r := d.Judge(put(Caller{Account: "333333333333"}), owner, true); r == nil || !r.Alone {
			t.Errorf("%s: what is the owner's alone is opened: %+v", list, r)
		}
	}
}

// A principal is an account, a role or a user by its full name: what only resembles one is refused when the policy is
// put, and opens nothing.
func TestPrincipalsThatOnlyResembleOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"arn:aws:iam::222222222222:role/*", "arn:aws:iam::222222222222:*", "arn:aws:sts::222222222222:assumed-role/*/s",
		"arn:aws:iam::2222:root", "arn:aws:s3::222222222222:root", "22222222222", "2222222222222", "root", "*222222222222",
		"arn:aws:iam::*:root", "",
	} {
		if d, err := Parse(meaning(`"Principal":{"AWS":"` + name + `"}`)); err == nil || !strings.Contains(err.Error(),
			"which is no account, role or user") {
			t.Errorf("%q: %+v, %v", name, d, err)
		}
	}
	for principal, allowed := range map[string]bool{
		`"Principal":{"AWS":"arn:aws:iam::222222222222:root"}`:                    true,
		`"Principal":{"AWS":"arn:aws:iam::222222222222:rooted"}`:                  false,
		`"Principal":{"AWS":"arn:aws:iam::222222222222:user/root"}`:               false,
		`"Principal":{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d"}`: false,
		`"Principal":{"Federated":"cognito-identity.amazonaws.com"}`:              false,
		`"Principal":{"Service":"sns.amazonaws.com","AWS":"333333333333"}`:        false,
	} {
		d, err := Parse(meaning(principal))
		if err != nil {
			t.Errorf("%s: %v", principal, err)
			continue
		}
		if got := d.Decide(put(Caller{Account: friend})); (got == Allowed) != allowed {
			t.Errorf("%s: the decision about the account is %d", principal, got)
		}
	}
}

// Whatever is not evaluated is named, in whichever element it stands.
func TestVariablesAreNamedInEitherElement(t *testing.T) {
	t.Parallel()
	for _, element := range []string{"Resource", "NotResource"} {
		d, err := Parse(statementOf(
			`"Effect":"Allow","Principal":"*","Action":"*","` + element + `":["a","b/${aws:userid}"]`,
		))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.Unknown(), "; "); got != "policy variables in Resource" {
			t.Errorf("%s: unknown: %q", element, got)
		}
		if got := d.Decide(put(Caller{Account: friend})); got == Allowed {
			t.Errorf("%s: what is not evaluated allows", element)
		}
	}
	d, err := Parse(statementOf(`"Effect":"Allow","Principal":{"CanonicalUser":"x"},"Action":"*","Resource":"*"`))
	if err != nil || strings.Join(d.Unknown(), "; ") != "principals of the kind CanonicalUser" {
		t.Errorf("%v, %v", d, err)
	}
}
