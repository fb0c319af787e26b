package main

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"time"

	"ringfence"
)

func init() {
	ringfence.Tool("read_file", "Reads a file.", readFile, ringfence.ReadOnly)
	ringfence.Tool("write_file", "Writes a file.", writeFile, ringfence.Destructive)
	ringfence.Tool("list_files", "Lists a folder.", listFiles, ringfence.ReadOnly)
	ringfence.Tool("time_and_chance", "Gives the time and something random.", timeAndChance)
}

type Path struct {
	Path string `json:"path"`
}

func readFile(_ *ringfence.Context, in Path) (string, error) {
	text, err := os.ReadFile(in.Path)
	return string(text), err
}

type WriteFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

func writeFile(_ *ringfence.Context, in WriteFile) (string, error) {
	return "ok", os.WriteFile(in.Path, []byte(in.Text), 0o644)
}

func listFiles(_ *ringfence.Context, in Path) (Names, error) {
	entries, err := os.ReadDir(in.Path) // sorted by name
	out := Names{Names: []string{}}
	for _, entry := range entries {
		out.Names = append(out.Names, entry.Name())
	}
	return out, err
}

type TimeAndChance struct {
	NowMs  int64  `json:"now_ms"`
	Random string `json:"random"`
}

func timeAndChance(_ *ringfence.Context, _ ringfence.None) (TimeAndChance, error) {
	var random [16]byte
	rand.Read(random[:])
	return TimeAndChance{time.Now().UnixMilli(), hex.EncodeToString(random[:])}, nil
}
