#!/usr/bin/env python3
"""Guests a farm did not ask for, at 127.0.0.1:PORT. Says "all there" when they all are, and stays."""
import os
import random
import resource
import socket
import struct
import sys
import time

port = int(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER"


def connect():
    for _ in range(200):
        try:
            s = socket.create_connection(("127.0.0.1", port), 5)
            s.settimeout(5)
            return s
        except OSError:
            time.sleep(0.05)
    sys.exit("cannot connect")


def push(s, data):
    try:
        s.sendall(data)
    except OSError:  # it has had enough
        pass


def peer():
    """As far as a farm without keys lets one come."""
    s = connect()
    push(s, GREETING + READY)
    return s


def frame(body, more=0):
    return bytes([2 | more]) + struct.pack(">Q", len(body)) + body


def message(kind, run=0, number=0, extra=0, body=b""):
    return frame(b"msf1" + bytes([kind, 0, 0, 0]) + struct.pack("<QQQ", run, number, extra) + body)


random.seed(1)
kept = [connect() for _ in range(1000)]  # say nothing at all
for i in range(20):
    s = peer()  # greet, and say nothing more
    kept.append(s)
for i in range(50):  # bytes at random, instead of a greeting and after it
    s = connect() if i % 2 else peer()
    push(s, random.randbytes(random.randrange(1, 3000)))
    kept.append(s)
s = peer()
push(s, frame(b"GET / HTTP/1.1\r\n\r\n"))
push(s, frame(b"part one", 1) + frame(b"part two"))
push(s, b"\x02" + struct.pack(">Q", 1 << 60))  # claims an exabyte
kept.append(s)
s = peer()
push(s, b"\x02" + struct.pack(">Q", 100 << 20) + bytes(1 << 20))  # large, and never goes on
kept.append(s)
for kind in range(0, 256):  # every kind of message from somebody unknown
    if kind % 32 == 0:
        s = peer()
        kept.append(s)
    if kind != 1:
        push(s, message(kind, 7, 7, 7, b"x" * 10))
for body in (b"", b"\xff" * 300, b"\x1b[2J\n"):  # workers that answer what they were not asked
    s = peer()
    push(s, message(1, 0, 3, 1 << 20, body) + message(3, 0, 1 << 63, 0, b"junk") + message(2, 0, 0, 0, b"junk") + message(4, 0, 0, 5, body) + message(6))
    kept.append(s)
s = peer()  # a flood of small ones
push(s, message(5) * 5000)
kept.append(s)
print("all there", file=sys.stderr, flush=True)
time.sleep(60)
