#!/usr/bin/env python3
"""Makes a calibration by the rules of host/protocol/calibration.hpp, written again from their description.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.22.2
    venv/bin/python tests/golden/calibration.py     prints the vectors of tests/host/protocol/calibration_test.cpp
"""
import hashlib
import json
import pathlib
import struct

from tokenizers import Tokenizer

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


def shuffled(n, seed, name):
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    random = Mt64(int.from_bytes(digest[:8], "big"))
    order = list(range(n))
    for i in range(n, 1, -1):
        x = random.next()
        while x >= (1 << 64) // i * i:
            x = random.next()
        order[i - 1], order[x % i] = order[x % i], order[i - 1]
    return order


def calibration(sources, counts, length, seed, tokenizer):
    samples, used = [], []
    for position, (documents, count) in enumerate(zip(sources, counts)):
        stream = []
        for nth in shuffled(len(documents), seed, f"source {position}"):
            if len(stream) >= count * length:
                break
            if documents[nth]:
                stream += tokenizer.encode(documents[nth]).ids
                used.append(documents[nth])
        assert len(stream) >= count * length
        samples += [stream[i * length : (i + 1) * length] for i in range(count)]
    samples = [samples[i] for i in shuffled(len(samples), seed, "samples")]
    packed = b"".join(struct.pack(f"<Q{len(s)}i", len(s), *s) for s in samples)
    return samples, hashlib.sha256(packed).hexdigest(), used


root = pathlib.Path(__file__).parents[2] / "share/data/ledger"
tokenizer = Tokenizer.from_file(str(root / "model/tokenizer.json"))
stories = [s for s in (root / "stories_heldout.txt").read_text().split("<|endoftext|>\n") if s]
train = [json.loads(line) for line in (root / "train.jsonl").open()]
reviews = [f"{r['input']} {r['expected_output']}" for r in train]
samples, digest, used = calibration([stories, reviews], [7, 3], 96, 42, tokenizer)
print("documents", len([u for u in used if u in stories]), len([u for u in used if u in reviews]))
print("the first sample begins", samples[0][:8])
print("digest", digest)
print("shuffled", shuffled(10, 1234, "x"))
