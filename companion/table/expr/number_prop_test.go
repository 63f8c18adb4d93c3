package expr

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyNumber draws numbers of all sizes, many of them close to each other.
func anyNumber(t *rapid.T) Number {
	digits := rapid.StringMatching(`[0-9]{1,38}`).Draw(t, "digits")
	power := rapid.OneOf(rapid.IntRange(-3, 3), rapid.IntRange(-92, 87)).Draw(t, "power")
	sign := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign")
	n, err := ParseNumber(sign + digits + "e" + big.NewInt(int64(power)).String())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rational(n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic(n.String())
	}
	return r
}

func TestNumbersOrderAsMathBigOrdersThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyNumber(t), anyNumber(t)
		want := rational(a).Cmp(rational(b))

		if got := a.Compare(b); got != want {
			t.Fatalf("%s against %s: %d, want %d", a, b, got, want)
		}
		if got := bytes.Compare(a.AppendKey(nil), b.AppendKey(nil)); got != want {
			t.Fatalf("keys of %s and %s: %d, want %d", a, b, got, want)
		}
		if (a == b) != (want == 0) {
			t.Fatalf("%s == %s is %t", a, b, a == b)
		}
		if want != 0 && bytes.HasPrefix(b.AppendKey(nil), a.AppendKey(nil)) {
			t.Fatalf("the key of %s begins that of %s", a, b)
		}
	})
}

func TestNumbersReadWhatTheyWrite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyNumber(t)
		b, err := ParseNumber(a.String())
		if err != nil || a != b {
			t.Fatalf("%#v became %#v: %v", a, b, err)
		}
	})
}

func TestSumsAreExactOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyNumber(t), anyNumber(t)
		sum, err := a.Add(b)
		want := new(big.Rat).Add(rational(a), rational(b))
		if err == nil && rational(sum).Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		if err != nil && len(strings.Trim(strings.TrimLeft(want.FloatString(300), "-0."), "0")) <= MaxDigits {
			t.Fatalf("%s + %s is refused: %v", a, b, err)
		}
		back, err := sum.Subtract(b)
		if err == nil && sum != (Number{}) && rational(back).Cmp(new(big.Rat).Sub(rational(sum), rational(b))) != 0 {
			t.Fatalf("%s - %s = %s", sum, b, back)
		}
	})
}

// DynamoDB Developer Guide, "Supported data types": 38 digits, 1E-130 to 9.9…E+125.
func TestNumbersHaveLimits(t *testing.T) {
	t.Parallel()
	nines := strings.Repeat("9", 38)
	for text, want := range map[string]string{
		"0": "0", "-0.000": "0", "0e999999999999999999999": "0", "+1": "1", "1.": "1", ".5": "0.5", "1E3": "1000",
		"1e-2": "0.01", "0120": "120",
		nines:                          nines,
		"9e125":                        "9" + strings.Repeat("0", 125),
		"1e-130":                       "0." + strings.Repeat("0", 129) + "1",
		"100e-132":                     "0." + strings.Repeat("0", 129) + "1",
		strings.Repeat("0", 500) + "1": "1",
	} {
		n, err := ParseNumber(text)
		if err != nil || n.String() != want {
			t.Errorf("%s is %s: %v", text, n, err)
		}
	}
	for text, want := range map[string]string{
		"":                       "The parameter cannot be converted to a numeric value",
		"1e126":                  "Number overflow. Attempting to store a number with magnitude larger than supported range",
		"1e99999999999999999999": "Number overflow. Attempting to store a number with magnitude larger than supported range",
		"1e-131":                 "Number underflow. Attempting to store a number with magnitude smaller than supported range",
		nines + "1":              "Attempting to store more than 38 significant digits in a Number",
	} {
		if _, err := ParseNumber(text); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{
		"a", "-", ".", "e5", "1e", "1e+-2", "1e1.5", "--1", "1 ", " 1", "1_0", "0x1", "NaN", "Infinity", "1e5e5",
		"1..2", "١",
	} {
		if n, err := ParseNumber(text); err == nil {
			t.Errorf("%q is taken as %s", text, n)
		}
	}
}

// Floor rounds down: it finds the second in which an item expires.
func TestFloorRoundsDown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1.9": 1, "-1.1": -2, "-2": -2, "1700000000.5": 1700000000, "0.3": 0, "-0.3": -1,
	} {
		n, _ := ParseNumber(text)
		if got, ok := n.Floor(); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	n, _ := ParseNumber("1e30")
	if got, ok := n.Floor(); ok {
		t.Errorf("1e30 is %d", got)
	}
}
