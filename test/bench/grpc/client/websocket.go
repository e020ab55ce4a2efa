package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// gRPC-Web over WebSockets, subprotocol grpc-websockets, a socket for each call. Masks are zeroes, so masking costs nothing.
type webSocket struct{ address string }

const opBinary, opClose = 2, 8

// Bytes a second that are sent at most. Nothing in the protocol says how far a server has come, and firn closes on a client that
// is 32 MiB ahead of its store; so a client has to know a pace that the store can keep.
const pace = 64 << 20

func (w webSocket) open(method string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Protocol: grpc-websockets\r\n\r\n", service, method, w.address)
	reader := bufio.NewReaderSize(conn, 64<<10)
	response, err := http.ReadResponse(reader, nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(response.Status)
	}
	if err == nil {
		err = write(conn, []byte("content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n"))
	}
	if err != nil {
		conn.Close()
	}
	return conn, reader, err
}

// Sends one message, which is the given parts.
func write(conn net.Conn, parts ...[]byte) error {
	var length int
	for _, part := range parts {
		length += len(part)
	}
	head := []byte{0x80 | opBinary}
	switch {
	case length < 126:
		head = append(head, 0x80|byte(length))
	case length < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(length))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(length))
	}
	buffers := net.Buffers(append([][]byte{append(head, 0, 0, 0, 0)}, parts...))
	_, err := buffers.WriteTo(conn)
	return err
}

// The bytes of all binary messages, one after the other.
type incoming struct {
	reader *bufio.Reader
	left   int64
}

func (in *incoming) Read(into []byte) (int, error) {
	for in.left == 0 {
		var head [2]byte
		if _, err := io.ReadFull(in.reader, head[:]); err != nil {
			return 0, err
		}
		in.left = int64(head[1] & 0x7f)
		if extended := map[int64]int{126: 2, 127: 8}[in.left]; extended > 0 {
			var long [8]byte
			if _, err := io.ReadFull(in.reader, long[8-extended:]); err != nil {
				return 0, err
			}
			in.left = int64(binary.BigEndian.Uint64(long[:]))
		}
		if head[0]&0x0f == opClose {
			why, _ := io.ReadAll(io.LimitReader(in.reader, in.left))
			return 0, fmt.Errorf("the server closed: %q", why)
		}
	}
	n, err := in.reader.Read(into[:min(int64(len(into)), in.left)])
	in.left -= int64(n)
	return n, err
}

func read(reader *bufio.Reader, keep bool) (answer, error) {
	in := &incoming{reader: reader}
	headers, err := readFrames(in, trailerBit, true)
	if err == nil && headers.size > 0 {
		err = errors.New("a message before the headers")
	}
	if err != nil {
		return headers, err
	}
	got, err := readFrames(in, trailerBit, keep)
	if err != nil {
		return got, err
	}
	return got, checkTrailers(got.end)
}

func (w webSocket) exchange(method string, frames io.Reader, keep bool) (answer, error) {
	conn, reader, err := w.open(method)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() { sent <- sendFrames(conn, frames) }()
	got, err := read(reader, keep)
	if err != nil {
		return got, err
	}
	return got, <-sent
}

// Sends each frame as a message.
func sendFrames(conn net.Conn, frames io.Reader) error {
	reader := bufio.NewReaderSize(frames, 1<<20)
	var head [5]byte
	var payload []byte
	start := time.Now()
	for sent := 0; ; sent += len(payload) {
		time.Sleep(time.Duration(sent)*time.Second/pace - time.Since(start))
		if _, err := io.ReadFull(reader, head[:]); err == io.EOF {
			return write(conn, []byte{1})
		} else if err != nil {
			return err
		}
		payload = append(payload[:0], make([]byte, binary.BigEndian.Uint32(head[1:]))...)
		if _, err := io.ReadFull(reader, payload); err != nil {
			return err
		}
		if err := write(conn, []byte{0}, head[:], payload); err != nil {
			return err
		}
	}
}

func (w webSocket) call(method string, message []byte) ([]byte, error) {
	got, err := w.exchange(method, bytes.NewReader(frame(message)), true)
	return got.message, err
}

func (w webSocket) up(frames io.Reader, _ int64) ([]byte, error) {
	got, err := w.exchange("Put", frames, true)
	return got.message, err
}

func (w webSocket) down(message []byte) (int64, error) {
	got, err := w.exchange("Read", bytes.NewReader(frame(message)), false)
	return got.size, err
}
