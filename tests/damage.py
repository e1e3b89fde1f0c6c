"""Damage to files, as disks and transfers do it."""

import random
from collections.abc import Iterator


def flipped(raw: bytes, count: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """``count`` copies of ``raw``, each with one bit changed in ``raw[start:stop]``; the same copies in every run.

    The first positions are taken one after the other (headers are short), the others at random.
    """
    stop = len(raw) if stop is None else stop
    draw = random.Random(0)
    for number in range(count):
        place = (
            start + number // 8 if number < count // 2 and number // 8 < stop - start else draw.randrange(start, stop)
        )
        copy = bytearray(raw)
        copy[place] ^= 1 << (number % 8)
        yield bytes(copy)
