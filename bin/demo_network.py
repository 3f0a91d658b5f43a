"""The builtin model's network in PyTorch, and its GGUF file. Imported by `train_demo_model.py`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from demo_chat import END, END_OF_TEXT, START
from tokenizers import Tokenizer
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network; every matrix dimension is a multiple of 32 (a q8_0 block)."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    rope_base: float = 10000.0
    epsilon: float = 1e-5


class Attention(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.head = s.width // s.heads
        self.repeat = s.heads // s.kv_heads
        self.q = nn.Linear(s.width, s.heads * self.head, bias=False)
        self.k = nn.Linear(s.width, s.kv_heads * self.head, bias=False)
        self.v = nn.Linear(s.width, s.kv_heads * self.head, bias=False)
        self.o = nn.Linear(s.width, s.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            m(x).view(batch, length, -1, self.head).transpose(1, 2)
            for m in (self.q, self.k, self.v)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (t.repeat_interleave(self.repeat, dim=1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(batch, length, width))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on interleaved pairs (2i, 2i + 1): llama.cpp's layout, so nothing is permuted later."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Block(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(s.width, eps=s.epsilon)
        self.attention = Attention(s)
        self.ffn_norm = nn.RMSNorm(s.width, eps=s.epsilon)
        self.gate = nn.Linear(s.width, s.hidden, bias=False)
        self.up = nn.Linear(s.width, s.hidden, bias=False)
        self.down = nn.Linear(s.hidden, s.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        y = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    """A Llama: RMSNorm, RoPE, grouped-query attention, SwiGLU; the head is the embedding."""

    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.shape = s
        self.embedding = nn.Embedding(s.vocab, s.width)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.layers))
        self.norm = nn.RMSNorm(s.width, eps=s.epsilon)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * s.layers) if deep else 1))
        head = s.width // s.heads
        steps = s.rope_base ** (-torch.arange(0, head, 2).float() / head)
        angles = torch.outer(torch.arange(1024).float(), steps)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor, wanted: Tensor) -> Tensor:
        """Logits [n, vocab] at the places where `wanted` [batch, length] is true."""
        x = self.embedding(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(self.norm(x[wanted]), self.embedding.weight)


def export(model: Model, tokenizer: Tokenizer, chat_template: str, path: Path) -> None:
    """Write the GGUF: matrices q8_0, norms f32."""
    s = model.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Local Swarm demo")
    writer.add_description("A tiny model that writes small Python functions, for tests and demos")
    writer.add_license("MIT")
    writer.add_size_label(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M")
    writer.add_context_length(32768)
    writer.add_embedding_length(s.width)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.hidden)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_rope_dimension_count(s.width // s.heads)
    writer.add_rope_freq_base(s.rope_base)
    writer.add_layer_norm_rms_eps(s.epsilon)
    writer.add_vocab_size(s.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    special = {END_OF_TEXT, START, END}
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocab])
    writer.add_token_types([control if token in special else normal for token, _ in vocab])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_eos_token_id(tokenizer.token_to_id(END))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template)
    names = {
        "attention_norm": "attn_norm", "attention.q": "attn_q", "attention.k": "attn_k",
        "attention.v": "attn_v", "attention.o": "attn_output", "ffn_norm": "ffn_norm",
        "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
    }  # fmt: skip
    tensors = {"token_embd.weight": model.embedding.weight, "output_norm.weight": model.norm.weight}
    for index, block in enumerate(model.blocks):
        weights = dict(block.named_parameters())
        for ours, theirs in names.items():
            tensors[f"blk.{index}.{theirs}.weight"] = weights[f"{ours}.weight"]
    for name, tensor in tensors.items():
        array = tensor.detach().numpy().astype(np.float32)
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
