// A client that costs little, for the rows of remote calls: `client ADDRESS PROTOCOL TASK …`, protocols native, web, connect
// and websocket. It checks every answer, and prints seconds by name as JSON.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const service = "/tvix.castore.v1.BlobService/"

// A way to call a method: messages in, messages out. An answer that says it failed is an error.
type caller interface {
	call(method string, message []byte) ([]byte, error)
}

// A way to send and receive more than fits into memory.
type streamer interface {
	// Sends frames that are ready, in the framing that all protocols share, and returns the one message of the answer.
	up(frames io.Reader, length int64) ([]byte, error)
	// Sends one message and returns how many bytes of frames came back in messages.
	down(message []byte) (int64, error)
}

// A message with one field of bytes, number 1: all that these methods take.
func withBytes(data []byte) []byte {
	message := binary.AppendUvarint([]byte{0x0a}, uint64(len(data)))
	return append(message, data...)
}

// The field of such a message.
func bytesOf(message []byte) ([]byte, error) {
	if len(message) == 0 {
		return nil, nil
	}
	length, n := binary.Uvarint(message[1:])
	if message[0] != 0x0a || n <= 0 || uint64(len(message)-1-n) != length {
		return nil, errors.New("cannot read a message: want one field of bytes")
	}
	return message[1+n:], nil
}

// A message as gRPC, gRPC-Web and Connect put it on the wire.
func frame(message []byte) []byte {
	framed := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(message)))
	return append(framed, message...)
}

// The message and the end of an answer that has at most one message.
type answer struct {
	message []byte
	// Bytes of all frames of messages.
	size int64
	end  []byte
}

// Reads frames up to the one that ends them, which has the given bit in its flag. Keeps messages if asked to.
func readFrames(r io.Reader, endBit byte, keep bool) (answer, error) {
	var got answer
	var head [5]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return got, fmt.Errorf("cannot read an answer: it does not end: %w", err)
		}
		length := int64(binary.BigEndian.Uint32(head[1:]))
		ends := head[0]&endBit != 0
		if !ends {
			got.size += 5 + length
		}
		if !ends && !keep {
			if _, err := io.CopyN(io.Discard, r, length); err != nil {
				return got, err
			}
			continue
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return got, err
		}
		if ends {
			got.end = payload
			return got, nil
		}
		got.message = payload
	}
}

// The bit that marks trailers in gRPC-Web.
const trailerBit = 0x80

func checkTrailers(trailers []byte) error {
	for _, line := range bytes.Split(trailers, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(bytes.ToLower(name)) == "grpc-status" && string(bytes.TrimSpace(value)) == "0" {
			return nil
		}
	}
	return fmt.Errorf("the call failed: %s", trailers)
}
