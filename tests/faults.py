"""Faults of a machine, on purpose: flipped bits, full disks."""

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def flip(path: Path, bit: int = 0) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1 << bit
    path.write_bytes(content)


def damage(path: Path, draw: random.Random) -> str:
    """Damage a file in one of the ways of disks and editors; says how."""
    content = bytearray(path.read_bytes())
    at = draw.randrange(len(content) + 1)
    way = draw.choice(["cut", "bit", "hole", "null", "list", "empty", "gone", "folder", "value"])
    match way:
        case "cut":
            content = content[:at]
        case "bit" if content:
            content[at - 1] ^= 1 << draw.randrange(8)
        case "hole":
            content[at : at + 64] = bytes(len(content[at : at + 64]))
        case "value":
            content = _other_value(content, draw)
        case _:
            content = bytearray({"null": b"null", "list": b"[[]]"}.get(way, b""))
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way != "gone":
        path.write_bytes(content)
    return f"{path.name}: {way} at {at}"


def _other_value(content: bytearray, draw: random.Random) -> bytearray:
    """A JSON document with another value in one of its places."""
    colons = [at for at, byte in enumerate(content) if byte == ord(":")]
    if not colons:
        return bytearray()
    at = draw.choice(colons) + 1
    ends = [content.find(mark, at) for mark in (b",", b"\n", b"}")]
    end = min((end for end in ends if end > 0), default=len(content))
    value = draw.choice(
        [b" null", b" -1", b' "../../x"', b" []", b" {}", b" 1e999", b" true", b' "\\ud800"', b" 9" * 30]
    )
    return content[:at] + value + content[end:]


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file can grow beyond `room` bytes, of this process and those that it starts; no privilege is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
