// verify DIR VKEY [OLDER]: verifies a log published by custos with other people's code, golang.org/x/mod/sumdb/{note,tlog}.
//
// DIR is a directory of C2SP tlog-tiles with a checkpoint, VKEY the log's verification key, OLDER a file with an earlier
// checkpoint that the log must contain. Exit status 0 and one line on standard output when everything fits, 1 and one
// line on standard error when something does not, 2 for a wrong call. Nothing of custos is used here.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight, tileWidth = 8, 256

// x/mod knows Ed25519 only; ECDSA is type 2 of C2SP signed-note, its key id is the hash of the SPKI.
type ecdsaVerifier struct {
	name string
	id   uint32
	key  *ecdsa.PublicKey
}

func (v *ecdsaVerifier) Name() string    { return v.name }
func (v *ecdsaVerifier) KeyHash() uint32 { return v.id }
func (v *ecdsaVerifier) Verify(msg, sig []byte) bool {
	sum := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(v.key, sum[:], sig)
}

func newVerifier(vkey string) (note.Verifier, error) {
	if v, err := note.NewVerifier(vkey); err == nil {
		return v, nil
	}
	part := strings.SplitN(vkey, "+", 3)
	if len(part) != 3 {
		return nil, errors.New("malformed verification key")
	}
	typed, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil || len(typed) < 2 || typed[0] != 2 {
		return nil, errors.New("verification key of an unknown type")
	}
	sum := sha256.Sum256(typed[1:])
	id := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", id) != part[1] {
		return nil, errors.New("the key id is not that of the key")
	}
	pub, err := x509.ParsePKIXPublicKey(typed[1:])
	if err != nil {
		return nil, err
	}
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	return &ecdsaVerifier{part[0], id, key}, nil
}

func readCheckpoint(file string, v note.Verifier) (tree tlog.Tree, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return tree, err
	}
	n, err := note.Open(data, note.VerifierList(v))
	if err != nil {
		return tree, fmt.Errorf("%s: %v", file, err)
	}
	line := strings.Split(n.Text, "\n")
	if len(line) != 4 || line[3] != "" {
		return tree, fmt.Errorf("%s: not origin, size and root", file)
	}
	if line[0] != v.Name() {
		return tree, fmt.Errorf("%s: origin %q instead of %q", file, line[0], v.Name())
	}
	if tree.N, err = strconv.ParseInt(line[1], 10, 64); err != nil || tree.N < 0 || strconv.FormatInt(tree.N, 10) != line[1] {
		return tree, fmt.Errorf("%s: bad size", file)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(line[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree, fmt.Errorf("%s: bad root", file)
	}
	copy(tree.Hash[:], root)
	return tree, nil
}

type tileDir string

func (d tileDir) Height() int                         { return tileHeight }
func (d tileDir) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (d tileDir) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		name := func(width int) string {
			w := t
			w.W = width
			return strings.Replace(w.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		}
		data, width, err := d.read(name, t.W)
		if err != nil {
			return nil, err
		}
		if len(data) != width*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes", name(width), len(data))
		}
		all = append(all, data[:t.W*tlog.HashSize])
	}
	return all, nil
}

// The exact width, else the full tile, else a wider partial one: an old checkpoint may stand before newer tiles.
func (d tileDir) read(name func(width int) string, want int) ([]byte, int, error) {
	data, err := os.ReadFile(filepath.Join(string(d), name(want)))
	if err == nil {
		return data, want, nil
	}
	for width := tileWidth; width > want; width-- {
		if wider, err := os.ReadFile(filepath.Join(string(d), name(width))); err == nil {
			return wider, width, nil
		}
	}
	return nil, 0, err
}

func (d tileDir) bundle(n int64, want int) ([][]byte, error) {
	name := func(width int) string {
		t := tlog.Tile{H: tileHeight, L: -1, N: n, W: width}
		return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/data/", tileHeight), "tile/entries/", 1)
	}
	data, width, err := d.read(name, want)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for i := 0; i < width; i++ {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s: cut off after %d of %d entries", name(width), i, width)
		}
		size := int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:2+size])
		data = data[2+size:]
	}
	if len(data) != 0 {
		return nil, fmt.Errorf("%s: %d bytes after the last entry", name(width), len(data))
	}
	return entries[:want], nil
}

type entry struct {
	Event  string `json:"event"`
	Index  *int64 `json:"index"`
	Time   string `json:"time"`
	V      int    `json:"v"`
	Intent *int64 `json:"intent"`
}

var outcome = regexp.MustCompile(`^release\.(done|rolled_back|not_rolled_back|untouched|unknown|resolved)$`)

func checkEntry(data []byte, index int64, intents map[int64]bool) error {
	var e entry
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&e); err != nil || dec.More() {
		return fmt.Errorf("entry %d is not one JSON object", index)
	}
	if e.V != 1 || e.Event == "" || e.Index == nil || *e.Index != index {
		return fmt.Errorf("entry %d does not say that it is entry %d", index, index)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", e.Time); err != nil {
		return fmt.Errorf("entry %d has no time", index)
	}
	if e.Event == "release.intent" {
		intents[index] = true
	}
	if outcome.MatchString(e.Event) && (e.Intent == nil || !intents[*e.Intent]) {
		return fmt.Errorf("entry %d (%s) ends a release that nothing began", index, e.Event)
	}
	return nil
}

// Reads every entry, compares its hash with what the authenticated tiles say, and builds the tree once more from the entries alone.
func checkEntries(dir tileDir, tree tlog.Tree, hashes tlog.HashReader) error {
	intents := map[int64]bool{}
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			list[i] = stored[x]
		}
		return list, nil
	})
	for at := int64(0); at < tree.N; at += tileWidth {
		want := int(tree.N - at)
		if want > tileWidth {
			want = tileWidth
		}
		entries, err := dir.bundle(at/tileWidth, want)
		if err != nil {
			return err
		}
		indexes := make([]int64, want)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, at+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, data := range entries {
			index := at + int64(i)
			if tlog.RecordHash(data) != leaves[i] {
				return fmt.Errorf("entry %d does not have the hash that was signed", index)
			}
			if err := checkEntry(data, index, intents); err != nil {
				return err
			}
			more, err := tlog.StoredHashes(index, data, own)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, own)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the entries do not make the signed root")
	}
	return nil
}

func checkOlder(file string, v note.Verifier, tree tlog.Tree, hashes tlog.HashReader) error {
	older, err := readCheckpoint(file, v)
	if err != nil {
		return err
	}
	if older.N > tree.N {
		return fmt.Errorf("the log was put back from %d to %d entries", older.N, tree.N)
	}
	if older.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, older.N, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
		return fmt.Errorf("the log is a fork of what it was at %d entries", older.N)
	}
	return nil
}

func verify(dir, vkey, older string) (tree tlog.Tree, err error) {
	v, err := newVerifier(vkey)
	if err != nil {
		return tree, err
	}
	if tree, err = readCheckpoint(filepath.Join(dir, "checkpoint"), v); err != nil {
		return tree, err
	}
	hashes := tlog.TileHashReader(tree, tileDir(dir))
	if err = checkEntries(tileDir(dir), tree, hashes); err == nil && older != "" {
		err = checkOlder(older, v, tree, hashes)
	}
	return tree, err
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: verify DIR VKEY [OLDER]")
		os.Exit(2)
	}
	older := ""
	if len(os.Args) == 4 {
		older = os.Args[3]
	}
	tree, err := verify(os.Args[1], os.Args[2], older)
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
	fmt.Printf("verified: %d entries, root %v\n", tree.N, tree.Hash)
}
