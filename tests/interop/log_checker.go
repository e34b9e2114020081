// Checks a log with other people's code: the notes and trees of Go's module mirror, as Debian packs them
// (golang-golang-x-mod-dev). It reads one JSON object from standard input, {key, checkpoints, records,
// trees}, and prints what it found: sizes, or the first thing that is wrong, with exit status 1.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Key         string   `json:"key"`
	Checkpoints []string `json:"checkpoints"`
	// Entries by their number, each with the hashes from its leaf to the root of the last checkpoint.
	Records []struct {
		Index int64    `json:"index"`
		Entry []byte   `json:"entry"`
		Proof [][]byte `json:"proof"`
	} `json:"records"`
	// Which checkpoint grew from which.
	Trees []struct {
		Old   int      `json:"old"`
		New   int      `json:"new"`
		Proof [][]byte `json:"proof"`
	} `json:"trees"`
}

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	verifier, err := note.NewVerifier(in.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	var trees []tlog.Tree
	strangers := 0
	for i, text := range in.Checkpoints {
		opened, err := note.Open([]byte(text), note.VerifierList(verifier))
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", i, err)
		}
		strangers += len(opened.UnverifiedSigs)
		tree, err := parseTree(opened.Text, verifier.Name())
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", i, err)
		}
		trees = append(trees, tree)
	}
	last := trees[len(trees)-1]
	for _, record := range in.Records {
		leaf := tlog.RecordHash(record.Entry)
		proof := tlog.RecordProof(hashes(record.Proof))
		if err := tlog.CheckRecord(proof, last.N, last.Hash, record.Index, leaf); err != nil {
			return fmt.Errorf("record %d: %w", record.Index, err)
		}
	}
	for _, pair := range in.Trees {
		before, after := trees[pair.Old], trees[pair.New]
		proof := tlog.TreeProof(hashes(pair.Proof))
		if err := tlog.CheckTree(proof, after.N, after.Hash, before.N, before.Hash); err != nil {
			return fmt.Errorf("tree %d from %d: %w", after.N, before.N, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{
		"checkpoints": len(trees),
		"strangers":   strangers,
		"records":     len(in.Records),
		"trees":       len(in.Trees),
	})
}

// tlog.ParseTree knows the Go checksum database only; the lines are the same.
func parseTree(text, origin string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tree, fmt.Errorf("not origin, size and root: %q", text)
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return tree, fmt.Errorf("not a root: %q", lines[2])
	}
	copy(tree.Hash[:], hash)
	return tree, nil
}

func hashes(list [][]byte) []tlog.Hash {
	result := make([]tlog.Hash, len(list))
	for i, bytes := range list {
		copy(result[i][:], bytes)
	}
	return result
}
