#!/usr/bin/env python3
"""A filter that passes frames on, and now and then does not.

odd.py pass                    every frame as it is
odd.py crash ROW [ONCE]        dies at the frame that has ROW; with a file ONCE only while that is not there
odd.py hang ROW [ONCE]         sleeps there
odd.py garbage ROW [ONCE]      writes bytes that are no frame
odd.py flood ROW [ONCE]        writes a frame that claims to be huge
odd.py torn ROW [ONCE]         an end that does not add up
odd.py slow MS                 takes so long for each frame
odd.py loud ROW [ONCE]         an error frame and exit 65, as our filters do
"""
import os
import sys
import time

import msgpack

deed, at = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else -1
once = sys.argv[3] if len(sys.argv) > 3 else None
out = sys.stdout.buffer


def fall(frame, raw):
    if once and os.path.exists(once):
        return False
    if once:
        open(once, "w").close()
    if deed == "crash":
        os.kill(os.getpid(), 11)
    elif deed == "hang":
        time.sleep(1000)
    elif deed == "garbage":
        out.write(b"this is no frame at all, and goes on for a while")
    elif deed == "flood":
        out.write(b"\x82\xa3sae\x01\xa4kind\xc6\xff\xff\xff\x00")
    elif deed == "torn":
        out.write(raw + raw)
    elif deed == "loud":
        out.write(msgpack.packb({"sae": 1, "kind": "error", "who": "odd", "text": "does not like this frame"}))
        out.flush()
        sys.exit(65)
    return True


unpacker = msgpack.Unpacker(raw=False, max_buffer_size=2**31 - 1)
kept, start = bytearray(), 0
while chunk := os.read(0, 1 << 16):
    unpacker.feed(chunk)
    kept += chunk
    for frame in unpacker:
        size = unpacker.tell() - start
        raw = bytes(kept[:size])
        del kept[:size]
        start += size
        if frame["kind"] == "rows":
            if deed == "slow":
                time.sleep(at / 1000)
            elif deed != "pass" and frame["row"] <= at < frame["row"] + frame["n"] and fall(frame, raw):
                out.flush()
                continue
        out.write(raw)
        out.flush()
