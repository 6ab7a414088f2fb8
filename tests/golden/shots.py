#!/usr/bin/env python3
"""Draws few-shot examples by the rule of host/protocol/shots.hpp, written again from its description.

    python3 shots.py        prints the vectors of tests/host/protocol/shots_test.cpp
"""
import hashlib

M = (1 << 64) - 1


class Mt64:
    """MT19937-64 (Nishimura and Matsumoto 2004), seeded with one number."""

    def __init__(self, seed):
        self.state = [seed]
        for i in range(1, 312):
            last = self.state[-1]
            self.state.append((6364136223846793005 * (last ^ (last >> 62)) + i) & M)
        self.at = 312

    def next(self):
        if self.at == 312:
            for i in range(312):
                x = (self.state[i] & 0xFFFFFFFF80000000) | (self.state[(i + 1) % 312] & 0x7FFFFFFF)
                self.state[i] = self.state[(i + 156) % 312] ^ (x >> 1) ^ (0xB5026F5AA96619E9 if x & 1 else 0)
            self.at = 0
        x = self.state[self.at]
        self.at += 1
        x ^= (x >> 29) & 0x5555555555555555
        x ^= (x << 17) & 0x71D67FFFEDA60000
        x ^= (x << 37) & 0xFFF7EEE000000000
        return x ^ (x >> 43)


def draw(pool, count, excluded, seed, item):
    digest = hashlib.sha256(f"{seed}:{item}".encode()).digest()
    random = Mt64(int.from_bytes(digest[:8], "big"))
    candidates = [i for i in range(pool) if i != excluded]
    drawn = []
    while len(drawn) < min(count, len(candidates)):
        x = random.next()
        while x >= (1 << 64) // len(candidates) * len(candidates):
            x = random.next()
        index = candidates[x % len(candidates)]
        if index not in drawn:
            drawn.append(index)
    return drawn


print(draw(1000, 5, 1000, 1234, "item"))
print(draw(7, 4, 3, 99, "x"))
