// Auditverify checks an exported ledger without any of Accord's own code: notes and trees are read by
// golang.org/x/mod/sumdb, the library behind Go's checksum database.
//
// Usage:
//
//	auditverify -log VKEY [-witness VKEY]... [-quorum N] DIR...
//
// Each DIR is laid out as C2SP tlog-tiles says (https://c2sp.org/tlog-tiles), with two optional folders beside it:
//
//	checkpoint                     signed head, with the witnesses' cosignatures
//	tile/L/N, tile/L/N.p/W         hashes
//	tile/entries/N[.p/W]           entries (optional; compared with the hashes)
//	proofs/NAME.tlog-proof         receipt (https://c2sp.org/tlog-proof), with its record in proofs/NAME.body
//	heads/N.checkpoint             a head seen earlier, of N entries
//	heads/N.add-checkpoint         the request by which a witness saw the ledger grow from N
//	                               (https://c2sp.org/tlog-witness, "add-checkpoint")
//
// One JSON line is printed for each DIR. The exit status is 1 if any DIR was refused.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileWidth  = 256
	tileHeight = 8
	saltBytes  = 16
)

// head is what a signed note says of a tree.
type head struct {
	size      int64
	root      tlog.Hash
	witnesses int
}

// result is printed for each directory.
type result struct {
	Dir       string `json:"dir"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	Size      int64  `json:"size"`
	Root      string `json:"root,omitempty"`
	Tiles     int    `json:"tiles"`
	Entries   int64  `json:"entries"`
	Proofs    int    `json:"proofs"`
	Heads     int    `json:"heads"`
	Witnesses int    `json:"witnesses"`
}

// verifier holds the keys that notes are checked against.
type verifier struct {
	log    note.Verifier
	known  note.Verifiers
	quorum int
}

func main() {
	logKey := flag.String("log", "", "the ledger's key, as a vkey")
	quorum := flag.Int("quorum", 0, "how many witnesses must have cosigned every head")
	var witnesses []note.Verifier
	flag.Func("witness", "a witness's key, as a vkey; may be repeated", func(text string) error {
		one, err := newWitness(text)
		witnesses = append(witnesses, one)
		return err
	})
	flag.Parse()
	log, err := note.NewVerifier(*logKey)
	if err != nil || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: auditverify -log VKEY [-witness VKEY]... [-quorum N] DIR...", err)
		os.Exit(2)
	}
	v := verifier{log, note.VerifierList(append(witnesses, log)...), *quorum}
	refused := false
	out := json.NewEncoder(os.Stdout)
	for _, dir := range flag.Args() {
		found := result{Dir: dir}
		if err := v.verify(dir, &found); err != nil {
			found.Error, refused = err.Error(), true
		} else {
			found.OK = true
		}
		if err := out.Encode(found); err != nil {
			os.Exit(2)
		}
	}
	if refused {
		os.Exit(1)
	}
}

func (v *verifier) verify(dir string, found *result) error {
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	now, err := v.open(text)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	found.Size, found.Root, found.Witnesses = now.size, now.root.String(), now.witnesses
	if err := checkTiles(dir, now, found); err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	if err := v.checkProofs(dir, found); err != nil {
		return fmt.Errorf("proofs: %w", err)
	}
	if err := v.checkHeads(dir, found); err != nil {
		return fmt.Errorf("heads: %w", err)
	}
	return nil
}

// open checks a signed note and reads the checkpoint in it.
func (v *verifier) open(text []byte) (head, error) {
	opened, err := note.Open(text, v.known)
	if err != nil {
		return head{}, err
	}
	if len(opened.Sigs) <= v.quorum {
		return head{}, fmt.Errorf("fewer than %d witnesses", v.quorum)
	}
	byLog := false
	for _, one := range opened.Sigs {
		byLog = byLog || one.Name == v.log.Name() && one.Hash == v.log.KeyHash()
	}
	if !byLog {
		return head{}, errors.New("not signed by the ledger")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != v.log.Name() {
		return head{}, errors.New("not a checkpoint of this ledger")
	}
	size, err := number(lines[1])
	if err != nil {
		return head{}, err
	}
	root, err := hash(lines[2])
	return head{size, root, len(opened.Sigs) - 1}, err
}

// checkTiles rebuilds the tree from the leaf hashes in the level 0 tiles alone, compares its root with the signed one,
// and compares every tile of every level with what the rebuilt tree holds there.
func checkTiles(dir string, now head, found *result) error {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(stored)) {
				return nil, fmt.Errorf("hash %d is missing", index)
			}
			out[i] = stored[index]
		}
		return out, nil
	})
	for first := int64(0); first < now.size; first += tileWidth {
		width := min(now.size-first, tileWidth)
		tile, err := readTile(dir, "0", first/tileWidth, width)
		if err != nil {
			return err
		}
		if int64(len(tile)) != width*tlog.HashSize {
			return fmt.Errorf("tile 0/%d holds %d bytes", first/tileWidth, len(tile))
		}
		for i := int64(0); i < width; i++ {
			leaf := tlog.Hash(tile[i*tlog.HashSize : (i+1)*tlog.HashSize])
			more, err := tlog.StoredHashesForRecordHash(first+i, leaf, reader)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
		if err := checkEntries(dir, first, width, tile, found); err != nil {
			return err
		}
	}
	root, err := tlog.TreeHash(now.size, reader)
	if err != nil {
		return err
	}
	if root != now.root {
		return errors.New("the tiles do not give the signed root")
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, now.size) {
		expected, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			return err
		}
		actual, err := readTile(dir, strconv.Itoa(tile.L), tile.N, int64(tile.W))
		if err != nil {
			return err
		}
		if !bytes.Equal(expected, actual) {
			return fmt.Errorf("tile %d/%d is not part of the tree", tile.L, tile.N)
		}
		found.Tiles++
	}
	return nil
}

// checkEntries compares an entry bundle, where the export has one, with the leaf hashes of the same tile.
func checkEntries(dir string, first, width int64, tile []byte, found *result) error {
	bundle, err := readTile(dir, "entries", first/tileWidth, width)
	if errors.Is(err, fs.ErrNotExist) && found.Entries == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for i := int64(0); i < width; i++ {
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			return errors.New("an entry bundle is cut short")
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		leaf := tlog.RecordHash(bundle[2:end])
		if !bytes.Equal(leaf[:], tile[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return fmt.Errorf("entry %d does not match its leaf hash", first+i)
		}
		bundle = bundle[end:]
		found.Entries++
	}
	if len(bundle) != 0 {
		return errors.New("an entry bundle is too long")
	}
	return nil
}

// checkProofs checks every receipt with its record.
func (v *verifier) checkProofs(dir string, found *result) error {
	names, err := filepath.Glob(filepath.Join(dir, "proofs", "*.tlog-proof"))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(strings.TrimSuffix(name, ".tlog-proof") + ".body")
		if err != nil {
			return err
		}
		if err := v.checkProof(text, body); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		found.Proofs++
	}
	return nil
}

func (v *verifier) checkProof(text, body []byte) error {
	top, signed, cut := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(top), "\n")
	if !cut || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof@v1 file")
	}
	extra, hasExtra := strings.CutPrefix(lines[1], "extra ")
	salt, err := unbase64(extra)
	if !hasExtra || err != nil || len(salt) != saltBytes {
		return errors.New("no salt of 16 bytes")
	}
	digits, hasIndex := strings.CutPrefix(lines[2], "index ")
	index, err := number(digits)
	if !hasIndex || err != nil {
		return errors.New("no index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		one, err := hash(line)
		if err != nil {
			return err
		}
		proof = append(proof, one)
	}
	at, err := v.open(signed)
	if err != nil {
		return err
	}
	digest := sha256.New()
	digest.Write([]byte("accord/ledger/entry/v1"))
	digest.Write(salt)
	digest.Write(body)
	entry := digest.Sum([]byte{1})
	return tlog.CheckRecord(proof, at.size, at.root, index, tlog.RecordHash(entry))
}

// checkHeads checks that the ledger grew from every head seen earlier.
func (v *verifier) checkHeads(dir string, found *result) error {
	names, err := filepath.Glob(filepath.Join(dir, "heads", "*.add-checkpoint"))
	if err != nil {
		return err
	}
	for _, name := range names {
		request, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		base := strings.TrimSuffix(name, ".add-checkpoint")
		earlier, err := os.ReadFile(base + ".checkpoint")
		if err != nil {
			return err
		}
		if err := v.checkHead(request, earlier, filepath.Base(base)); err != nil {
			return fmt.Errorf("from %s: %w", filepath.Base(base), err)
		}
		found.Heads++
	}
	return nil
}

func (v *verifier) checkHead(request, earlier []byte, named string) error {
	top, signed, cut := bytes.Cut(request, []byte("\n\n"))
	lines := strings.Split(string(top), "\n")
	if !cut || lines[0] != "old "+named {
		return errors.New("not an add-checkpoint request from this size")
	}
	old, err := v.open(earlier)
	if err != nil {
		return err
	}
	now, err := v.open(signed)
	if err != nil {
		return err
	}
	if strconv.FormatInt(old.size, 10) != named {
		return errors.New("the earlier head is of another size")
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		one, err := hash(line)
		if err != nil {
			return err
		}
		proof = append(proof, one)
	}
	if old.size == 0 {
		// Every tree grows from the empty one; CheckTree leaves that out.
		empty, err := tlog.TreeHash(0, nil)
		if err != nil || len(proof) != 0 || old.root != empty {
			return errors.New("not the empty tree")
		}
		return nil
	}
	return tlog.CheckTree(proof, now.size, now.root, old.size, old.root)
}

// readTile reads a tile or an entry bundle under its name in tlog-tiles: index in groups of three digits, all but the
// last with an x in front, and .p/W for a partial one.
func readTile(dir, level string, index, width int64) ([]byte, error) {
	name := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		name = fmt.Sprintf("x%03d/%s", index%1000, name)
	}
	if width < tileWidth {
		name += fmt.Sprintf(".p/%d", width)
	}
	return os.ReadFile(filepath.Join(dir, "tile", level, filepath.FromSlash(name)))
}

func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%q is not a plain decimal number", text)
	}
	return n, nil
}

func hash(text string) (tlog.Hash, error) {
	data, err := unbase64(text)
	if err != nil || len(data) != tlog.HashSize {
		return tlog.Hash{}, errors.New("not the base64 of a hash")
	}
	return tlog.Hash(data), nil
}

func unbase64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(data) != text {
		return nil, errors.New("not strict base64")
	}
	return data, nil
}

// witness checks cosignature/v1 lines (https://c2sp.org/tlog-cosignature, "Ed25519 signed message"), which x/mod lacks.
type witness struct {
	name   string
	id     uint32
	public ed25519.PublicKey
}

func newWitness(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a vkey")
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := unbase64(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, errors.New("not an Ed25519 cosigner's key")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if binary.BigEndian.Uint32(sum[:]) != uint32(id) {
		return nil, errors.New("the key id does not match the key")
	}
	return &witness{parts[0], uint32(id), ed25519.PublicKey(key[1:])}, nil
}

// Name is the witness's name.
func (w *witness) Name() string { return w.name }

// KeyHash is the id of the witness's key.
func (w *witness) KeyHash() uint32 { return w.id }

// Verify checks time and signature over the note's text.
func (w *witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.public, []byte(message), signature[8:])
}
