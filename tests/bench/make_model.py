#!/usr/bin/env python3
"""Make a Llama checkpoint folder with random bfloat16 weights, the same bytes every time, for load_bench.

    python3 make_model.py OUT                       1,235,814,400 weights, 2.5 GB (the shapes of Llama 3.2 1B)
    python3 make_model.py OUT --hidden 256 --layers 4 --heads 4 --kv-heads 2 --intermediate 704 --vocab 4096

Needs Python alone. Norm weights are 1; every other weight has a random sign, a random fraction and a size from
2^-9 to 2^-5. The weights are written a megabyte at a time; the model computes, its text means nothing.
"""
import argparse
import json
import os
import random
import struct

PIECE_BYTES = 1 << 20
# The upper byte of a bfloat16 is its sign and the upper 7 bits of its exponent: 0x3B covers 2^-9 and 2^-8, ...
UPPER = bytes(random.Random(0).choice((0x3B, 0x3B, 0x3C, 0xBB, 0xBB, 0xBC)) for _ in range(256))
ONE = struct.pack("<H", 0x3F80)


def tensors(a):
    head = a.hidden // a.heads
    yield "model.embed_tokens.weight", [a.vocab, a.hidden]
    for layer in range(a.layers):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", [a.hidden]
        yield at + "self_attn.q_proj.weight", [a.hidden, a.hidden]
        yield at + "self_attn.k_proj.weight", [a.kv_heads * head, a.hidden]
        yield at + "self_attn.v_proj.weight", [a.kv_heads * head, a.hidden]
        yield at + "self_attn.o_proj.weight", [a.hidden, a.hidden]
        yield at + "post_attention_layernorm.weight", [a.hidden]
        yield at + "mlp.gate_proj.weight", [a.intermediate, a.hidden]
        yield at + "mlp.up_proj.weight", [a.intermediate, a.hidden]
        yield at + "mlp.down_proj.weight", [a.hidden, a.intermediate]
    yield "model.norm.weight", [a.hidden]


def size_bytes(shape):
    size = 2
    for n in shape:
        size *= n
    return size


def pieces(shape, draw):
    left = size_bytes(shape)
    while left > 0:
        n = min(left, PIECE_BYTES)
        left -= n
        if len(shape) == 1:
            yield ONE * (n // 2)
            continue
        piece = bytearray(draw.randbytes(n))
        piece[1::2] = piece[1::2].translate(UPPER)
        yield piece


def main():
    ap = argparse.ArgumentParser(description="Make a Llama checkpoint folder with random bfloat16 weights.")
    ap.add_argument("out", help="folder to write")
    ap.add_argument("--hidden", type=int, default=2048)
    ap.add_argument("--layers", type=int, default=16)
    ap.add_argument("--heads", type=int, default=32)
    ap.add_argument("--kv-heads", type=int, default=8)
    ap.add_argument("--intermediate", type=int, default=8192)
    ap.add_argument("--vocab", type=int, default=128256)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()

    os.makedirs(a.out, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": a.vocab,
              "hidden_size": a.hidden, "num_hidden_layers": a.layers, "num_attention_heads": a.heads,
              "num_key_value_heads": a.kv_heads, "intermediate_size": a.intermediate, "max_position_embeddings": 4096,
              "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    with open(os.path.join(a.out, "config.json"), "w") as file:
        json.dump(config, file, indent=1)

    header, end = {}, 0
    for name, shape in tensors(a):
        begin, end = end, end + size_bytes(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    draw = random.Random(a.seed)
    with open(os.path.join(a.out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors(a):
            for piece in pieces(shape, draw):
                file.write(piece)
    print(f"{a.out}: {end // 2} weights, {end} bytes")


if __name__ == "__main__":
    main()
