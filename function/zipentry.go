package function

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
)

// Limits of a package. Sizes are in bytes. Source: Lambda Developer Guide, "Lambda quotas". The last five are ours: a
// name must be usable as a path below /var/task, and the result of unpacking is bounded by the number of files and
// directories, whatever their names imply.
const (
	maxZip      = 52_428_800
	maxUnzipped = 262_144_000
	maxEntries  = 100_000
	maxImplied  = 10_000 // directories beyond the number of entries: a name of a few kilobytes implies thousands
	maxLink     = 4096   // of a symbolic link's target
	maxPath     = 4096 - len("/var/task/") - 1
	maxPart     = 255 // of a name, between slashes
)

// AWS's answers to packages it cannot use.
var (
	errZipSize  = fault.New(fault.CodeTooLarge, "Zipped size must be smaller than %d bytes", maxZip).WithStatus(413)
	errUnzipped = fault.New(fault.CodeInvalidParameter, "Unzipped size must be smaller than %d bytes", maxUnzipped)
	errNotZip   = fault.New(
		fault.CodeInvalidParameter, "Could not unzip uploaded file. Please check your file, then try to upload again.",
	)
	errEmptyZip   = fault.New(fault.CodeInvalidParameter, "Uploaded file must be a non-empty zip")
	directoryMark = []byte("PK\x01\x02")
)

// refuseZip is AWS's refusal with the reason beside it.
func refuseZip(format string, args ...any) error {
	return errNotZip.WithHint("The package was refused: %s.", fmt.Sprintf(format, args...))
}

// quoted returns a name of an entry for people: control characters are escaped, and it is short.
func quoted(name string) string { return fmt.Sprintf("%q", fault.Clip(name, 200)) }

// openZip reads the directory of a package and judges it before anything is inflated: number of entries, declared
// sizes, names, kinds.
func openZip(b []byte) ([]zipEntry, error) {
	switch {
	case len(b) == 0:
		return nil, errEmptyZip
	case len(b) > maxZip:
		return nil, errZipSize
	case bytes.Count(b, directoryMark) > 4*maxEntries: // archive/zip would hold them all; nested archives may add a few
		return nil, refuseZip("it has more than %d entries", maxEntries)
	}
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // insecure paths are judged below
		return nil, refuseZip("%v", err)
	}
	switch {
	case len(r.File) == 0:
		return nil, errEmptyZip
	case len(r.File) > maxEntries:
		return nil, refuseZip("it has more than %d entries", maxEntries)
	}
	entries := make([]zipEntry, 0, len(r.File))
	var total uint64
	for i, f := range r.File {
		if total += min(f.UncompressedSize64, maxUnzipped+1); total > maxUnzipped {
			return nil, errUnzipped
		}
		if f.Name == "" {
			return nil, refuseZip("entry %d has no name", i+1)
		}
		e, err := judge(f)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// zipEntry is an entry that has been judged.
type zipEntry struct {
	file *zip.File
	name string      // clean, relative, with slashes; "." for the root
	kind fs.FileMode // 0, ModeDir or ModeSymlink
	exec bool
}

// Creators of zip entries, the upper byte of "version made by".
const (
	madeByUnix  = 3
	madeByMacOS = 19
)

// Flags of an entry. Source: PKWARE's APPNOTE, 4.4.4.
const (
	flagEncrypted       = 1 << 0
	flagStronger        = 1 << 6
	flagUTF8            = 1 << 11
	flagHiddenDirectory = 1 << 13
)

// methods are the names of compression methods that are not unpacked. Source: PKWARE's APPNOTE, 4.4.5.
var methods = map[uint16]string{
	1: "Shrink", 2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 6: "Implode", 9: "Deflate64", 10: "IBM TERSE",
	12: "bzip2", 14: "LZMA", 16: "IBM z/OS CMPSC",
	18: "IBM TERSE", 19: "IBM LZ77", 20: "Zstandard", 93: "Zstandard", 94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack",
	98: "PPMd", 99: "AES encryption",
}

// judge refuses names that lead out of the package and everything but files, directories and links.
func judge(f *zip.File) (zipEntry, error) {
	given, err := nameOf(f)
	if err != nil {
		return zipEntry{}, err
	}
	made := f.CreatorVersion >> 8
	unix := made == madeByUnix || made == madeByMacOS
	name := strings.ReplaceAll(given, `\`, "/") // as Windows tools write them, and some that say they are Unix's
	clean := path.Clean(name)
	switch {
	case strings.Contains(name, "\x00"), path.IsAbs(name), strings.Contains("/"+name+"/", "/../"),
		len(clean) > 1 && clean[1] == ':' && (!unix || name != given):
		return zipEntry{}, refuseZip("the name %s is not a path inside the package", quoted(given))
	case len(clean) > maxPath:
		return zipEntry{}, refuseZip("the name %s is longer than %d bytes", quoted(given), maxPath)
	case f.Flags&(flagEncrypted|flagStronger|flagHiddenDirectory) != 0:
		return zipEntry{}, refuseZip("%s is encrypted, and a package cannot be", quoted(given))
	}
	for part := range strings.SplitSeq(clean, "/") {
		if len(part) > maxPart {
			return zipEntry{}, refuseZip("a part of the name %s is longer than %d bytes", quoted(given), maxPart)
		}
	}
	e := zipEntry{file: f, name: clean}
	switch mode := f.Mode(); {
	case !unix:
		e.exec = clean == "bootstrap" // Windows has no such bit, and the runtime needs it
	case mode.Type() == 0, mode.IsDir(), mode.Type() == fs.ModeSymlink:
		e.kind, e.exec = mode.Type(), mode&0o111 != 0
	default:
		return zipEntry{}, refuseZip("%s is neither a file nor a directory nor a link", quoted(given))
	}
	if e.kind == 0 && strings.HasSuffix(name, "/") || clean == "." {
		e.kind = fs.ModeDir
	}
	if e.kind != fs.ModeDir && f.Method != zip.Store && f.Method != zip.Deflate {
		by := methods[f.Method]
		if by == "" {
			by = fmt.Sprint("method ", f.Method)
		}
		return zipEntry{}, refuseZip(
			"%s is compressed by %s; only stored and deflated files are unpacked", quoted(given), by,
		)
	}
	return e, nil
}

// nameOf returns the name of an entry in UTF-8. Many tools write UTF-8 without declaring it; anything else is in the
// code page of the first PCs, unless a second name beside it is in Unicode. Source: PKWARE's APPNOTE, appendix D;
// Info-ZIP's extra field 0x7075.
func nameOf(f *zip.File) (string, error) {
	switch {
	case utf8.ValidString(f.Name):
		return f.Name, nil
	case f.Flags&flagUTF8 != 0:
		return "", refuseZip("the name %s is marked as UTF-8 and is none", quoted(f.Name))
	}
	for rest := f.Extra; len(rest) >= 4; {
		id, size := binary.LittleEndian.Uint16(rest), int(binary.LittleEndian.Uint16(rest[2:]))
		if rest = rest[4:]; size > len(rest) {
			break
		}
		field := rest[:size]
		rest = rest[size:]
		if id == 0x7075 && size > 5 && field[0] == 1 &&
			binary.LittleEndian.Uint32(field[1:]) == crc32.ChecksumIEEE([]byte(f.Name)) && utf8.Valid(field[5:]) {
			return string(field[5:]), nil
		}
	}
	var b strings.Builder
	for _, c := range []byte(f.Name) {
		if c < 0x80 {
			b.WriteByte(c)
		} else {
			b.WriteRune(codePage437[c-0x80])
		}
	}
	return b.String(), nil
}

// codePage437 is its upper half.
var codePage437 = []rune(
	"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0",
)

// damage describes what is wrong with the content of an entry.
func damage(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, zip.ErrChecksum):
		return errors.New("its content does not fit its checksum")
	case errors.Is(err, zip.ErrFormat):
		return errors.New("its size is not what the archive says, or its header is damaged")
	case errors.As(err, &corrupt):
		return fmt.Errorf("its compressed data is damaged at byte %d", int64(corrupt))
	}
	return err
}
