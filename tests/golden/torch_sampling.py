#!/usr/bin/env python3
"""Makes tests/data/torch/sampling.json: what temperature, top_k and top_p of transformers leave of some rows of logits.

    python torch_sampling.py --out tests/data/torch

Needs torch and transformers 5.23. Each case: logits, the settings, the token ids that are left and their probabilities.
Logits are multiples of 1/64, so that ties at the edge of top_k occur; cases in which top_p would cut between two equal
logits are left out, for there the warper's order is that of an unstable sort.
"""
import argparse
import json
import os

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper


def warped(logits, temperature, top_k, top_p):
    """The order of GenerationMixin._get_logits_processor."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k=top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p=top_p))
    return warpers(None, logits.unsqueeze(0))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    torch.manual_seed(11)
    cases = []
    for vocab in (7, 40):
        for temperature in (0.25, 1.0, 1.7):
            for top_k in (0, 1, 5, 1000):
                for top_p in (1.0, 0.999, 0.9, 0.5, 0.05):
                    logits = torch.round(torch.randn(vocab) * 2 * 64) / 64
                    scores = warped(logits, temperature, top_k, top_p)
                    left = torch.isfinite(scores).nonzero()[:, 0]
                    edge = scores[left].min()
                    if top_p < 1 and (logits / temperature == edge).sum() != (scores == edge).sum():
                        continue
                    cases.append({"logits": logits.tolist(), "temperature": temperature, "top_k": top_k, "top_p": top_p,
                                  "tokens": left.tolist(), "probabilities": torch.softmax(scores, -1)[left].tolist()})
    ties = torch.tensor([0.0, 2.0, 1.0, 1.0, 1.0, -1.0])
    scores = warped(ties, 1.0, 2, 1.0)
    left = torch.isfinite(scores).nonzero()[:, 0]
    cases.append({"logits": ties.tolist(), "temperature": 1.0, "top_k": 2, "top_p": 1.0, "tokens": left.tolist(),
                  "probabilities": torch.softmax(scores, -1)[left].tolist()})
    with open(os.path.join(out, "sampling.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
