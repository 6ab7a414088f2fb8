"""Loads one checkpoint with the code of the tool that owns its layout and gives log-probabilities of texts.

    tool_scores.py CHECKPOINT TEXTS.json OUT.json

TEXTS.json is a list of texts. OUT.json: {"tool", "layer" (class of a quantized layer), "nll": [[nats per token], ...]}.
A process of its own, because a tool that crashes must not take the others' results with it."""
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

# Nothing is fetched, compiled or sent to a GPU: what is compared is the reading of the file.
os.environ.update(HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TORCHDYNAMO_DISABLE="1")

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, AwqConfig, FineGrainedFP8Config, GPTQConfig  # noqa: E402


def loading(settings):
    """How the tool is called: arguments of from_pretrained, and the packages that do the work."""
    method = settings["quant_method"]
    if method == "gptq":
        # The plain kernel: the others are compiled on first use. It has float16 and bfloat16 only.
        config = GPTQConfig(bits=settings["bits"], backend="gptq_torch")
        return {"quantization_config": config, "dtype": torch.float16}, ["gptqmodel", "optimum"]
    if method == "awq":
        config = AwqConfig(bits=settings["bits"], backend="torch_awq")
        return {"quantization_config": config, "dtype": torch.float16}, ["gptqmodel"]
    if method == "bitsandbytes":
        return {"dtype": torch.float32}, ["bitsandbytes"]
    if method == "compressed-tensors":
        return {"dtype": torch.float32}, ["compressed-tensors"]
    if method == "fp8":
        # Its products need a GPU; on a CPU it dequantizes on load.
        config = FineGrainedFP8Config(
            weight_block_size=tuple(settings["weight_block_size"]), dequantize=True)
        return {"quantization_config": config, "dtype": torch.float32}, []
    raise SystemExit(f"no tool is known for quant_method {method!r}")


def compute_in_float32(model):
    """bitsandbytes' 4-bit CPU kernel rounds to bfloat16 whatever the dtype, where the machine has it."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def token_nll(model, tokens):
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    taken = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(tokens[1:])[:, None])
    return (-taken[:, 0]).tolist()


def main(folder, texts, out):
    torch.set_num_threads(1)
    config = json.loads((Path(folder) / "config.json").read_text())
    arguments, packages = loading(config["quantization_config"])
    model = AutoModelForCausalLM.from_pretrained(
        folder, device_map="cpu", attn_implementation="eager", **arguments).eval()
    compute_in_float32(model)
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    scores = {
        "tool": ", ".join(f"{name} {version(name)}" for name in packages + ["transformers"]),
        "layer": type(model.model.layers[0].mlp.down_proj).__name__,
        "nll": [token_nll(model, [config["bos_token_id"]]
                          + tokenizer.encode(text, add_special_tokens=False).ids)
                for text in json.loads(Path(texts).read_text())],
    }
    Path(out).write_text(json.dumps(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
