package cloudwatch

import (
	"context"
	"net/http"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// cborCodec is the RPC v2 CBOR protocol, which the SDKs of Go, Java, PHP and Swift speak, and Terraform with them.
// Source: Smithy 2.0, "Smithy RPC v2 CBOR protocol".
type cborCodec struct {
	in  cbor.DecMode
	out cbor.EncMode
}

const cborType = "application/cbor"

// rpcCBOR is the one codec of this protocol.
var rpcCBOR = sync.OnceValue(func() cborCodec {
	in, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 16, MaxArrayElements: 200_000, MaxMapPairs: 1000,
		DefaultMapType: reflect.TypeFor[map[string]any](),
	}.DecMode()
	if err != nil {
		panic(err) // constants
	}
	out, err := cbor.EncOptions{}.EncMode()
	if err != nil {
		panic(err)
	}
	return cborCodec{in, out}
})

func chargeCBOR(ctx context.Context, body []byte) error { return wire.ChargeValues(ctx, values(body)) }

// values counts the values in CBOR, those within others included, up to where it is not well formed. Source: RFC 8949,
// 3.
func values(b []byte) (n int) {
	for len(b) > 0 {
		kind, info := b[0]>>5, b[0]&0x1f
		b, n = b[1:], n+1
		argument := uint64(info)
		if info >= 24 && info < 28 {
			width := 1 << (info - 24)
			if len(b) < width {
				return n
			}
			argument = 0
			for _, digit := range b[:width] {
				argument = argument<<8 | uint64(digit)
			}
			b = b[width:]
		}
		if (kind == 2 || kind == 3) && info < 28 { // a string of bytes or of text
			if argument > uint64(len(b)) {
				return n
			}
			b = b[argument:]
		}
	}
	return n
}

func decodeCBOR(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	var v map[string]any
	if err := rpcCBOR().in.Unmarshal(body, &v); err != nil || v == nil {
		return fault.New(fault.CodeSerialization, "The request body is not a CBOR map.")
	}
	return bind(v, reflect.ValueOf(into).Elem(), "")
}

func writeCBOR(w http.ResponseWriter, _ wire.Caller, _ wire.Input, output any) {
	sendCBOR(w, http.StatusOK, output)
}

func sendCBOR(w http.ResponseWriter, status int, body any) {
	// some SDKs compare the case, and net/http would write capitals
	w.Header()["smithy-protocol"] = []string{"rpc-v2-cbor"}
	if body == nil {
		wire.WriteBytes(w, status, "", nil) // operations without an output answer without a body
		return
	}
	b, err := rpcCBOR().out.Marshal(body)
	if err != nil {
		panic(err) // our own types always marshal
	}
	wire.WriteBytes(w, status, cborType, b)
}
