"""A transcript of calls by grpcio, the gRPC of C++, against a server: python3 grpc_python_client.py HOST:PORT PACKAGE...

Messages are built and read by hand, so no generated code of anybody stands between. Prints `ok NAME` after each part, and
ends with a traceback and code 1 where the server does not do what it should.
"""

import concurrent.futures
import hashlib
import sys
import threading
import time

import grpc

MIB = 1024 * 1024
HELLO = b"Hello World!"
# BLAKE3, as b3sum prints it.
HELLO_DIGEST = bytes.fromhex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c")
EMPTY_DIGEST = bytes.fromhex("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
# Of the bytes 00 01, and of the byte 01.
BLOB_A_DIGEST = bytes.fromhex("7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63")
ONE_DIGEST = bytes.fromhex("48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b")
BLOB_B = bytes(range(255)) * 4096
BLOB_B_DIGEST = bytes.fromhex("a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2")
BLOB_B_CHUNKS = [524288, 520192]
WITH_KEEP_DIGEST = bytes.fromhex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e")
COMPLICATED_DIGEST = bytes.fromhex("3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a")
COMPLICATED_NAR_SIZE = 840
COMPLICATED_NAR_SHA256 = bytes.fromhex("ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a")
ABSENT = bytes([7]) * 32
SERVING, SERVICE_UNKNOWN = 1, 3


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """A field of a message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message, as a list of (number, value)."""
    found, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        found.append((tag >> 3, value))
    return found


def only(message):
    """The one field of a message."""
    [(_, value)] = fields(message)
    return value


def noise(length, seed):
    return hashlib.shake_128(str(seed).encode()).digest(length)


class Store:
    """The calls of one package, their messages as bytes."""

    def __init__(self, channel, package):
        self.channel, self.package = channel, package

    def unary(self, service, method):
        return self.channel.unary_unary(f"/{self.package}.{service}/{method}")

    def put(self):
        return self.channel.stream_unary(f"/{self.package}.castore.v1.BlobService/Put")

    def put_blob(self, data, step=512 * 1024):
        pieces = (field(1, data[at : at + step]) for at in range(0, len(data), step))
        return only(self.put()(pieces, timeout=60))

    def stat(self, digest, **options):
        return self.unary("castore.v1.BlobService", "Stat")(field(1, digest), **{"timeout": 30, **options})

    def read(self, digest, timeout=60):
        return self.channel.unary_stream(f"/{self.package}.castore.v1.BlobService/Read")(
            field(1, digest), timeout=timeout
        )

    def read_blob(self, digest):
        return b"".join(only(message) for message in self.read(digest))


def refused(call, code):
    """The error of a call that must fail with this code."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        assert error.details(), "an error says what is wrong"
        return error
    raise AssertionError(f"the call must fail with {code}")


def calls_of_all_kinds(store, channel):
    refused(lambda: store.stat(HELLO_DIGEST), grpc.StatusCode.NOT_FOUND)
    assert store.put_blob(HELLO, 5) == HELLO_DIGEST
    assert store.put_blob(b"") == EMPTY_DIGEST
    assert store.stat(HELLO_DIGEST) == b""
    assert store.read_blob(HELLO_DIGEST) == HELLO
    assert store.read_blob(EMPTY_DIGEST) == b""
    assert store.put_blob(BLOB_B, 65_537) == BLOB_B_DIGEST
    chunks = [dict(fields(chunk)) for number, chunk in fields(store.stat(BLOB_B_DIGEST)) if number == 2]
    assert [chunk[2] for chunk in chunks] == BLOB_B_CHUNKS
    assert store.read_blob(BLOB_B_DIGEST) == BLOB_B
    assert store.read_blob(chunks[1][1]) == BLOB_B[BLOB_B_CHUNKS[0] :]


def directories_and_paths(store, channel):
    keep = field(1, b".keep") + field(2, EMPTY_DIGEST)
    with_keep = field(2, keep)
    complicated = (
        field(1, field(1, b"keep") + field(2, WITH_KEEP_DIGEST) + field(3, 1))
        + field(2, keep)
        + field(3, field(1, b"aa") + field(2, b"/nix/store/somewhereelse"))
    )
    service = f"/{store.package}.castore.v1.DirectoryService/"
    store.put_blob(b"")
    put = channel.stream_unary(service + "Put")
    assert only(put(iter([with_keep, complicated]), timeout=30)) == COMPLICATED_DIGEST
    closure = channel.unary_stream(service + "Get")(field(1, COMPLICATED_DIGEST) + field(2, 1), timeout=30)
    assert list(closure) == [complicated, with_keep], "root first, and canonical"

    root = field(2, COMPLICATED_DIGEST) + field(3, 4)
    calculate = store.unary("store.v1.PathInfoService", "CalculateNAR")
    nar = dict(fields(calculate(field(1, root), timeout=30)))
    assert nar == {1: COMPLICATED_NAR_SIZE, 2: COMPLICATED_NAR_SHA256}, nar

    name = b"00000000000000000000000000000000-dummy"
    narinfo = field(1, COMPLICATED_NAR_SIZE) + field(2, COMPLICATED_NAR_SHA256)
    info = field(1, field(1, field(1, name) + root)) + field(3, narinfo)
    stored = store.unary("store.v1.PathInfoService", "Put")(info, timeout=30)
    assert fields(stored)[0] == fields(info)[0], stored
    wrong = field(1, field(1, field(1, b"1" + name[1:]) + root)) + field(3, field(1, 841) + field(2, ABSENT))
    put_info = store.unary("store.v1.PathInfoService", "Put")
    refused(lambda: put_info(wrong, timeout=30), grpc.StatusCode.INVALID_ARGUMENT)
    assert store.unary("store.v1.PathInfoService", "Get")(field(1, bytes(20)), timeout=30) == stored
    listed = list(channel.unary_stream(f"/{store.package}.store.v1.PathInfoService/List")(b"", timeout=30))
    assert listed == [stored]


def eight_mib_in_odd_sizes(store, channel):
    blob = noise(8 * MIB + 13, 1)
    sizes, pieces, at = [0, 1, 7, 4093, 65_537, 999_983, 3 * MIB + 1, 5], [], 0
    while at < len(blob):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(field(1, blob[at : at + size]))
        at += size
    digest = only(store.put()(iter(pieces), timeout=60))
    assert digest == store.put_blob(blob), "the same bytes in other messages"
    assert store.read_blob(digest) == blob


def cancelled_read(store, channel):
    blob = noise(16 * MIB, 2)
    digest = store.put_blob(blob)
    for _ in range(20):
        call = store.read(digest)
        assert len(only(next(call))) > 0
        call.cancel()
        refused(lambda: list(call), grpc.StatusCode.CANCELLED)
    assert store.read_blob(digest) == blob, "the connection goes on"


def cancelled_put(store, channel):
    more = threading.Event()

    def endless():
        yield field(1, b"\0")
        yield field(1, b"\1")
        more.wait(30)

    call = store.put().future(endless(), timeout=60)
    time.sleep(0.5)
    call.cancel()
    more.set()
    assert call.cancelled()
    time.sleep(0.3)
    refused(lambda: store.stat(BLOB_A_DIGEST), grpc.StatusCode.NOT_FOUND)


def deadline(store, channel):
    more = threading.Event()

    def stalling():
        yield field(1, b"\1")
        more.wait(30)

    started = time.monotonic()
    refused(lambda: store.put()(stalling(), timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
    more.set()
    assert time.monotonic() - started < 10
    refused(lambda: store.stat(ONE_DIGEST), grpc.StatusCode.NOT_FOUND)


def errors(store, channel):
    missing = refused(lambda: store.stat(ABSENT), grpc.StatusCode.NOT_FOUND)
    assert ("firn-error", "MissingError") in missing.trailing_metadata(), missing.trailing_metadata()
    assert "blake3-BwcH" in missing.details(), missing.details()
    short = refused(lambda: store.stat(b"\1"), grpc.StatusCode.INVALID_ARGUMENT)
    assert "32" in short.details(), short.details()
    unknown = store.unary("castore.v1.BlobService", "Nothing")
    refused(lambda: unknown(b"", timeout=30), grpc.StatusCode.UNIMPLEMENTED)
    name = "jiný — 100% ☃ 雪"
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    error = refused(lambda: check(field(1, name.encode()), timeout=30), grpc.StatusCode.NOT_FOUND)
    assert name in error.details(), error.details()


def long_message(store, channel):
    call = store.put()
    error = refused(lambda: call(iter([field(1, bytes(5 * MIB))]), timeout=30), grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "4194304" in error.details(), error.details()
    assert store.put_blob(HELLO) == HELLO_DIGEST


def metadata(store, channel):
    given = [("x-text", "v" * 1000), ("trace-bin", bytes(range(256)))]
    store.put_blob(HELLO)
    response, call = store.unary("castore.v1.BlobService", "Stat").with_call(
        field(1, HELLO_DIGEST), metadata=given, timeout=30
    )
    assert response == b"" and call.code() == grpc.StatusCode.OK


def compression(store, channel):
    """The server has none: gzip is refused as the protocol says it is to be, and what is not compressed is taken."""
    error = refused(
        lambda: store.stat(HELLO_DIGEST, compression=grpc.Compression.Gzip), grpc.StatusCode.UNIMPLEMENTED
    )
    assert "gzip" in error.details(), error.details()
    store.put_blob(HELLO)
    store.stat(HELLO_DIGEST, compression=grpc.Compression.NoCompression)


def many_calls(store, channel):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        blobs = [noise(50_003 * (i % 8) + i + 1, i) for i in range(64)]
        digests = list(pool.map(lambda blob: store.put_blob(blob, 16_001), blobs))
        assert len(set(digests)) == 64
        assert list(pool.map(store.read_blob, digests)) == blobs


def health(store, channel):
    service = field(1, f"{store.package}.castore.v1.BlobService".encode())
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert only(check(b"", timeout=30)) == SERVING
    assert only(check(service, timeout=30)) == SERVING
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
    for name, status in [(service, SERVING), (field(1, b"nobody"), SERVICE_UNKNOWN)]:
        call = watch(name, timeout=30)
        assert only(next(call)) == status
        call.cancel()


PARTS = [
    calls_of_all_kinds,
    directories_and_paths,
    eight_mib_in_odd_sizes,
    cancelled_read,
    cancelled_put,
    deadline,
    errors,
    long_message,
    metadata,
    compression,
    many_calls,
    health,
]

if __name__ == "__main__":
    address, *packages = sys.argv[1:]
    options = [("grpc.max_receive_message_length", 64 * MIB)]
    for package in packages:
        with grpc.insecure_channel(address, options=options) as channel:
            for part in PARTS:
                part(Store(channel, package), channel)
                print("ok", package, part.__name__, flush=True)
