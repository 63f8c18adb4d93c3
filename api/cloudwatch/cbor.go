package cloudwatch

import (
	"net/http"
	"reflect"
	"strings"
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

func (cborCodec) operation(r *http.Request) string {
	name, ok := strings.CutPrefix(r.URL.Path, "/service/"+Target+"/operation/")
	if !ok {
		return ""
	}
	return name
}

func (p cborCodec) read(r *http.Request, input any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if err := wire.ChargeValues(r.Context(), values(body)); err != nil {
		return err
	}
	return p.decode(body, input)
}

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

func (p cborCodec) decode(body []byte, input any) error {
	if len(body) == 0 {
		return nil
	}
	var v map[string]any
	if err := p.in.Unmarshal(body, &v); err != nil || v == nil {
		return fault.New(codeSerialization, "The request body is not a CBOR map.")
	}
	return bind(v, reflect.ValueOf(input).Elem(), "")
}

func (p cborCodec) write(w http.ResponseWriter, c wire.Caller, _ string, output any) {
	p.send(w, c, http.StatusOK, output)
}

func (p cborCodec) fault(w http.ResponseWriter, c wire.Caller, _ string, f *fault.Error) {
	p.send(w, c, f.Status, errorBody{shape(f.Code), f.Message})
}

func (p cborCodec) send(w http.ResponseWriter, c wire.Caller, status int, body any) {
	wire.SetIDs(w.Header(), c)
	// some SDKs compare the case, and net/http would write capitals
	w.Header()["smithy-protocol"] = []string{"rpc-v2-cbor"}
	if body == nil {
		wire.WriteBytes(w, status, "", nil) // operations without an output answer without a body
		return
	}
	b, err := p.out.Marshal(body)
	if err != nil {
		panic(err) // our own types always marshal
	}
	wire.WriteBytes(w, status, cborType, b)
}
