package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// client ADDRESS PROTOCOL small COUNT SIZE CALLS   put that many blobs, then read and stat them: {"put":…,"read":…,"stat":…}
// client ADDRESS PROTOCOL up FILE DIGEST           put a file of frames
// client ADDRESS PROTOCOL down SIZE DIGEST         read a blob of that size
func main() {
	seconds, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(seconds)
}

func run(args []string) (map[string]float64, error) {
	if len(args) < 5 {
		return nil, fmt.Errorf("cannot run: want ADDRESS PROTOCOL TASK and what belongs to it")
	}
	address, protocol, task := args[0], args[1], args[2]
	const calls = 64
	var client caller
	switch protocol {
	case "native":
		opened, err := openNative(address)
		if err != nil {
			return nil, err
		}
		client = opened
	case "web", "connect":
		client = openHTTP(address, calls, protocol == "connect")
	case "websocket":
		client = webSocket{address}
	}
	if task == "small" {
		count, err := strconv.Atoi(args[3])
		if err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(args[4])
		if err != nil {
			return nil, err
		}
		return small(client, count, size, calls)
	}
	digest, err := hex.DecodeString(args[4])
	if err != nil {
		return nil, err
	}
	streams, ok := client.(streamer)
	if !ok {
		return nil, fmt.Errorf("cannot run %s over %s", task, protocol)
	}
	if task == "up" {
		return up(streams, args[3], digest)
	}
	return down(streams, args[3], digest)
}

func small(client caller, count, size, calls int) (map[string]float64, error) {
	blobs := make([][]byte, count)
	source := rand.NewChaCha8([32]byte{1})
	for i := range blobs {
		blobs[i] = make([]byte, size)
		source.Read(blobs[i])
	}
	digests := make([][]byte, count)
	tasks := []struct {
		name string
		do   func(i int) error
	}{
		{"put", func(i int) error {
			got, err := client.call("Put", withBytes(blobs[i]))
			digests[i] = got // itself the message that asks for the blob
			if err == nil && len(got) != 34 {
				return fmt.Errorf("cannot take the answer %x: want a digest", got)
			}
			return err
		}},
		{"read", func(i int) error {
			got, err := client.call("Read", digests[i])
			if err != nil {
				return err
			}
			if data, err := bytesOf(got); err != nil || !bytes.Equal(data, blobs[i]) {
				return fmt.Errorf("cannot read blob %d: other bytes came", i)
			}
			return nil
		}},
		{"stat", func(i int) error {
			_, err := client.call("Stat", digests[i])
			return err
		}},
	}
	seconds := map[string]float64{}
	for _, task := range tasks {
		start := time.Now()
		if err := inParallel(count, calls, task.do); err != nil {
			return nil, fmt.Errorf("%s: %w", task.name, err)
		}
		seconds[task.name] = time.Since(start).Seconds()
	}
	return seconds, nil
}

func inParallel(count, calls int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				if err := do(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func up(client streamer, path string, digest []byte) (map[string]float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	got, err := client.up(file, info.Size())
	if err != nil {
		return nil, err
	}
	seconds := time.Since(start).Seconds()
	if !bytes.Equal(got, withBytes(digest)) {
		return nil, fmt.Errorf("cannot put %s: it came as %x", path, got)
	}
	return map[string]float64{"up": seconds}, nil
}

func down(client streamer, size string, digest []byte) (map[string]float64, error) {
	least, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	got, err := client.down(withBytes(digest))
	if err != nil {
		return nil, err
	}
	if got < least || got > least+least/64 {
		return nil, fmt.Errorf("cannot read the blob: %d bytes of frames for one of %d", got, least)
	}
	return map[string]float64{"down": time.Since(start).Seconds()}, nil
}
