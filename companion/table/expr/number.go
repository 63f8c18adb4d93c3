package expr

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// MaxDigits is how many significant digits a number may have. Source: DynamoDB Developer Guide, "Supported data types".
const MaxDigits = 38

// The range of magnitudes, as the power of ten of the first digit.
const (
	maxPower = 125
	minPower = -130
)

// Number is a decimal number of up to 38 significant digits; no floating point is involved. The zero value is 0. Equal
// numbers are ==.
type Number struct {
	digits   string // without zeros at either end; "": the number is 0
	exponent int    // the value is 0.digits × 10^exponent; 0 for 0
	negative bool
}

// ParseNumber reads a number as DynamoDB writes and accepts it: digits with an optional sign, point and power of ten.
func ParseNumber(s string) (Number, error) {
	if s == "" {
		return Number{}, invalid("The parameter cannot be converted to a numeric value")
	}
	mantissa, power, ok := splitNumber(s)
	if !ok {
		return Number{}, invalid("The parameter cannot be converted to a numeric value: %s", clip(s))
	}
	negative := false
	switch mantissa[0] {
	case '-':
		negative, mantissa = true, mantissa[1:]
	case '+':
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return Number{}, invalid("The parameter cannot be converted to a numeric value: %s", clip(s))
	}
	return makeNumber(negative, whole+fraction, len(whole)+power)
}

// splitNumber separates the power of ten. A power beyond any range is clamped to one that is still out of range.
func splitNumber(s string) (mantissa string, power int, ok bool) {
	at := strings.IndexAny(s, "eE")
	if at < 0 {
		return s, 0, true
	}
	mantissa, text := s[:at], s[at+1:]
	unsigned := strings.TrimPrefix(strings.TrimPrefix(text, "+"), "-")
	if mantissa == "" || unsigned == "" || len(text)-len(unsigned) > 1 || strings.Trim(unsigned, "0123456789") != "" {
		return "", 0, false
	}
	const far = 1 << 20 // more than the digits of any request could bring back into range
	power, err := strconv.Atoi(unsigned)
	if err != nil || power > far {
		power = far
	}
	if text[0] == '-' {
		power = -power
	}
	return mantissa, power, true
}

// makeNumber returns 0.digits × 10^exponent, or a refusal if it is out of range.
func makeNumber(negative bool, digits string, exponent int) (Number, error) {
	trimmed := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	switch {
	case trimmed == "":
		return Number{}, nil
	case exponent-1 > maxPower:
		return Number{}, invalid(
			"Number overflow. Attempting to store a number with magnitude larger than supported range",
		)
	case exponent-1 < minPower:
		return Number{}, invalid(
			"Number underflow. Attempting to store a number with magnitude smaller than supported range",
		)
	case len(trimmed) > MaxDigits:
		return Number{}, invalid("Attempting to store more than 38 significant digits in a Number")
	}
	return Number{strings.Clone(trimmed), exponent, negative}, nil
}

// Integer returns n as a Number.
func Integer(n int) Number {
	v, err := ParseNumber(strconv.Itoa(n))
	if err != nil {
		panic(err) // an int has at most 19 digits
	}
	return v
}

// String returns n without a power of ten, as DynamoDB writes it.
func (n Number) String() string {
	var b strings.Builder
	if n.negative {
		b.WriteByte('-')
	}
	switch {
	case n.digits == "":
		b.WriteByte('0')
	case n.exponent <= 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -n.exponent))
		b.WriteString(n.digits)
	case n.exponent >= len(n.digits):
		b.WriteString(n.digits)
		b.WriteString(strings.Repeat("0", n.exponent-len(n.digits)))
	default:
		b.WriteString(n.digits[:n.exponent])
		b.WriteByte('.')
		b.WriteString(n.digits[n.exponent:])
	}
	return b.String()
}

// Compare returns -1, 0 or 1 if n is less than, equal to or greater than m.
func (n Number) Compare(m Number) int {
	if n.sign() != m.sign() {
		return order(n.sign(), m.sign())
	}
	c := order(n.exponent, m.exponent)
	if c == 0 {
		c = strings.Compare(n.digits, m.digits) // neither ends in zeros
	}
	return c * max(n.sign(), -1)
}

func (n Number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

func order(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Add returns n + m, or a refusal if the sum has more digits or magnitude than a Number holds: nothing is rounded.
func (n Number) Add(m Number) (Number, error) {
	low := min(n.exponent-len(n.digits), m.exponent-len(m.digits))
	sum := new(big.Int).Add(n.scaled(low), m.scaled(low))
	digits := new(big.Int).Abs(sum).String()
	return makeNumber(sum.Sign() < 0, digits, len(digits)+low)
}

// Subtract returns n - m; see Add.
func (n Number) Subtract(m Number) (Number, error) {
	m.negative = !m.negative && m.digits != ""
	return n.Add(m)
}

// scaled returns n in units of 10^low. Exponents are within ±131, so it has fewer than 300 digits.
func (n Number) scaled(low int) *big.Int {
	v := new(big.Int)
	if n.digits == "" {
		return v
	}
	v.SetString(n.digits+strings.Repeat("0", n.exponent-len(n.digits)-low), 10)
	if n.negative {
		v.Neg(v)
	}
	return v
}

// Floor returns the greatest whole number not above n, if it fits 63 bits.
func (n Number) Floor() (int64, bool) {
	if n.exponent > 18 {
		return 0, false
	}
	whole, _, fraction := strings.Cut(n.String(), ".")
	v, err := strconv.ParseInt(whole, 10, 64)
	if fraction && n.negative {
		v--
	}
	return v, err == nil
}

// Size returns how many bytes AWS counts for the number: one per two significant digits, one more, and one for a minus
// sign.
func (n Number) Size() int {
	size := (len(n.digits)+1)/2 + 1
	if n.negative {
		size++
	}
	return size
}

// The first byte of an encoded number.
const (
	keyNegative = 1
	keyZero     = 2
	keyPositive = 3
)

// AppendKey appends an encoding of n whose byte order is the order of numbers and which is not a prefix of another
// number's.
func (n Number) AppendKey(b []byte) []byte {
	if n.digits == "" {
		return append(b, keyZero)
	}
	if !n.negative {
		b = append(b, keyPositive, byte((n.exponent+exponentBias)>>8), byte(n.exponent+exponentBias))
		b = append(b, n.digits...)
		return append(b, 0)
	}
	b = append(b, keyNegative, ^byte((n.exponent+exponentBias)>>8), ^byte(n.exponent+exponentBias))
	for i := range len(n.digits) {
		b = append(b, ^n.digits[i])
	}
	return append(b, 0xff)
}

// exponentBias makes every exponent positive.
const exponentBias = 1 << 14

// clip shortens a caller's value for quoting.
func clip(s string) string { return fault.Clip(s, 100) }
