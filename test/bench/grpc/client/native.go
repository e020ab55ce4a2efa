package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// gRPC over HTTP/2: all calls on one connection.
type native struct{ conn *grpc.ClientConn }

// Messages are bytes already.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func openNative(address string) (native, error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	return native{conn}, err
}

func (n native) call(method string, message []byte) ([]byte, error) {
	var answer []byte
	if method == "Stat" {
		err := n.conn.Invoke(context.Background(), service+method, message, &answer)
		return answer, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	streams := &grpc.StreamDesc{ClientStreams: method == "Put", ServerStreams: method == "Read"}
	stream, err := n.conn.NewStream(ctx, streams, service+method)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(message); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	if err := stream.RecvMsg(&answer); err != nil {
		return nil, err
	}
	if streams.ServerStreams {
		var more []byte
		if err := stream.RecvMsg(&more); err == nil {
			return nil, errMore
		} else if !isEnd(err) {
			return nil, err
		}
	}
	return answer, nil
}
