#!/usr/bin/env python3
"""Train the builtin model (`builtin:demo`) from nothing and write it as a GGUF file.

Run from the repository root:  PYTHONPATH=. python bin/train_demo_model.py --out demo.gguf
Needs torch, numpy, gguf and tokenizers, which the product itself does not. The defaults are the
recipe of the shipped file: one thread, fixed seed, tasks made on the fly by
`local_swarm.evals.tasks`. Writes the model and, next to it, a JSON file with what the training
knows (data size, parameters, loss), for the card. The conversations are in `demo_chat.py`, the
network and the file format in `demo_network.py`. `lswarm eval --live` measures the outcome.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from demo_chat import CHAT_TEMPLATE, END, END_OF_TEXT, START, SYSTEM_MESSAGES, turns
from demo_network import Model, Shape, export
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from local_swarm.evals.tasks import training

LOCAL = ("out", "checkpoints", "resume")  # arguments that do not change the model


def train_tokenizer(seed: int, size: int) -> Tokenizer:
    """Byte-level BPE of `size` tokens over 4000 conversations; digits follow GPT-2's splitting."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng, tasks = random.Random(seed), training(seed)
    texts = []
    for _ in range(4000):
        text = "".join(part for part, _ in turns(rng, tasks))
        texts.append(text.replace(START, "\n").replace(END, "\n"))
    texts += list(SYSTEM_MESSAGES) * 20
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@dataclass(slots=True)
class Seen:
    """What went into the training so far."""

    tokens: int = 0
    answer_tokens: int = 0
    tasks: int = 0


def batches(
    tokenizer: Tokenizer, seed: int, size: int, seen: Seen, slips: float, longest: int = 384
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless (tokens, targets, is answer) of `size` sequences of nearly the same length."""
    rng, tasks = random.Random(seed), training(seed)
    while True:
        pool: list[tuple[list[int], list[bool]]] = []
        while len(pool) < size * 16:
            ids: list[int] = []
            answer: list[bool] = []
            for text, is_answer in turns(rng, tasks, slips):
                piece = tokenizer.encode(text).ids
                ids += piece
                answer += [is_answer] * len(piece)
                seen.tasks += is_answer
            if len(ids) <= longest:
                pool.append((ids, answer))
        pool.sort(key=lambda pair: len(pair[0]))
        groups = [pool[i : i + size] for i in range(0, len(pool), size)]
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            tokens = torch.zeros(size, width, dtype=torch.long)
            answers = torch.zeros(size, width, dtype=torch.bool)
            for row, (ids, answer) in enumerate(group):
                tokens[row, : len(ids)] = torch.tensor(ids)
                answers[row, : len(ids)] = torch.tensor(answer)
                seen.tokens += len(ids)
                seen.answer_tokens += sum(answer)
            yield tokens[:, :-1], tokens[:, 1:], answers[:, 1:]


def rate(step: int, steps: int, decay_from: int) -> float:
    """Share of the learning rate: warm-up over 100 steps, flat, linear to zero at the end."""
    return min(1.0, (step + 1) / 100, (steps - step) / (steps - decay_from))


def train(args: argparse.Namespace) -> tuple[Model, Tokenizer, dict[str, object]]:
    """Train by the recipe in `args`; returns also what the card needs to know."""
    torch.manual_seed(args.seed)
    tokenizer = train_tokenizer(args.seed, args.vocab)
    shape = Shape(
        tokenizer.get_vocab_size(), args.width, args.layers, args.heads, args.kv_heads, args.hidden
    )
    model = Model(shape)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {shape}", flush=True)
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    seen, first = Seen(), 0
    if args.resume:
        state = torch.load(args.resume, weights_only=True)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        seen, first = Seen(*state["seen"]), state["step"]
    source = batches(tokenizer, args.seed + 1, args.batch, seen, 0.0)
    started, before, average = time.monotonic(), seen.tokens, 0.0
    for step in range(first, args.steps):
        if step in (args.decay_from, args.slips_from):
            # The stream starts anew here, so that a run resumed at this step is the same run.
            slips = args.slips if step == args.slips_from else 0.0
            source = batches(tokenizer, args.seed + 1 + step, args.batch, seen, slips)
        opt.param_groups[0]["lr"] = args.lr * rate(step, args.steps, args.decay_from)
        tokens, targets, wanted = next(source)
        loss = F.cross_entropy(model(tokens, wanted), targets[wanted])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        average = 0.98 * (average or loss.item()) + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            seconds = time.monotonic() - started
            speed = (seen.tokens - before) / seconds
            print(
                f"step {step + 1} loss {average:.4f} {speed:.0f} tok/s {seconds:.0f} s", flush=True
            )
        if args.checkpoints and (step + 1) % 250 == 0:
            state = {"model": model.state_dict(), "opt": opt.state_dict(), "step": step + 1}
            torch.save(
                state | {"seen": list(asdict(seen).values())}, args.checkpoints / f"{step + 1}.pt"
            )
            export(model, tokenizer, CHAT_TEMPLATE, args.checkpoints / f"{step + 1}.gguf")
    facts: dict[str, object] = {
        **asdict(seen), **asdict(shape), "parameters": parameters, "final_loss": round(average, 4),
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    return model, tokenizer, facts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train the builtin demo model and write it as GGUF; defaults are the recipe.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("local_swarm/assets/demo.gguf"))
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--steps", type=int, default=11000, help="optimiser steps")
    parser.add_argument("--batch", type=int, default=8, help="conversations in a step")
    parser.add_argument("--vocab", type=int, default=1024, help="tokens, special ones included")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=448, help="width inside the SwiGLU")
    parser.add_argument("--lr", type=float, default=3e-3, help="of AdamW")
    parser.add_argument("--decay-from", type=int, default=2000, help="step where it begins to fall")
    parser.add_argument("--slips-from", type=int, default=10000, help="step where slips begin")
    parser.add_argument("--slips", type=float, default=0.15, help="chance of a slip at each place")
    parser.add_argument("--checkpoints", type=Path, help="keep the state here every 250 steps")
    parser.add_argument(
        "--resume", type=Path, help="go on from this state, saved at --decay-from or --slips-from"
    )
    return parser.parse_args()


def main() -> None:
    """Train, write the model, and write the facts next to it."""
    args = arguments()
    torch.set_num_threads(1)
    model, tokenizer, facts = train(args)
    export(model, tokenizer, CHAT_TEMPLATE, args.out)
    recipe = {key: value for key, value in vars(args).items() if key not in LOCAL}
    digest = hashlib.sha256(args.out.read_bytes()).hexdigest()
    facts |= {"recipe": recipe, "sha256": digest, "size_bytes": args.out.stat().st_size}
    facts["torch"] = torch.__version__
    args.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
