package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

var errMore = errors.New("cannot take the answer: want one message")

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// gRPC-Web or Connect over HTTP/1.1, a connection for each call under way.
type overHTTP struct {
	client  *http.Client
	url     string
	connect bool
}

func openHTTP(address string, calls int, connect bool) overHTTP {
	transport := &http.Transport{
		MaxIdleConnsPerHost: calls,
		DisableCompression:  true,
		WriteBufferSize:     256 << 10,
		ReadBufferSize:      256 << 10,
	}
	return overHTTP{&http.Client{Transport: transport}, "http://" + address + service, connect}
}

func (o overHTTP) post(method, contentType string, body io.Reader, length int64) (*http.Response, error) {
	request, err := http.NewRequest("POST", o.url+method, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	request.Header.Set("Content-Type", contentType)
	response, err := o.client.Do(request)
	if err == nil && response.StatusCode != 200 {
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("%s: %s %s", method, response.Status, text)
	}
	return response, err
}

func (o overHTTP) stream(method string, body io.Reader, length int64, keep bool) (answer, error) {
	contentType, endBit := "application/grpc-web+proto", byte(trailerBit)
	if o.connect {
		contentType, endBit = "application/connect+proto", 2
	}
	response, err := o.post(method, contentType, body, length)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	reader := bufio.NewReaderSize(response.Body, 64<<10)
	got, err := readFrames(reader, endBit, keep)
	if err != nil {
		return got, err
	}
	if _, err := reader.ReadByte(); err != io.EOF {
		return got, errMore
	}
	if o.connect {
		if string(got.end) != "{}" {
			return got, fmt.Errorf("the call failed: %s", got.end)
		}
		return got, nil
	}
	return got, checkTrailers(got.end)
}

func (o overHTTP) call(method string, message []byte) ([]byte, error) {
	if o.connect && method == "Stat" {
		response, err := o.post(method, "application/proto", bytes.NewReader(message), int64(len(message)))
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}
	framed := frame(message)
	got, err := o.stream(method, bytes.NewReader(framed), int64(len(framed)), true)
	return got.message, err
}

func (o overHTTP) up(frames io.Reader, length int64) ([]byte, error) {
	got, err := o.stream("Put", frames, length, true)
	return got.message, err
}

func (o overHTTP) down(message []byte) (int64, error) {
	framed := frame(message)
	got, err := o.stream("Read", bytes.NewReader(framed), int64(len(framed)), false)
	return got.size, err
}
