"""llama.cpp's library as the package llama-cpp-python calls it, made to do what was planned.

For `llama_cpp_python_runner.py`, in its process: what is replaced here is replaced in the package.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}  # llama_flash_attn_type
INFO, TROUBLE, CONTINUED = 2, (3, 4), 5  # ggml_log_level


def obey_plan(args: argparse.Namespace) -> None:
    """Decides what the server has no setting for where the library is called.

    One row of logits is kept, as the plan counts, and not one for each token of a batch; layers
    that slide keep their window, and not the whole context.
    """
    from llama_cpp import llama_cpp as library

    model: dict[str, Any] = {"use_extra_bufts": args.repack}
    context: dict[str, Any] = {
        "flash_attn_type": FLASH_ATTENTION[args.flash_attention],
        "n_outputs_max": 1,
        "swa_full": False,
    }
    if args.device == "none":
        no_device = (ctypes.c_void_p * 1)(None)
        model["devices"] = ctypes.cast(no_device, ctypes.c_void_p)
        context["op_offload"] = False
    library.llama_model_load_from_file = _with(library.llama_model_load_from_file, model)
    library.llama_init_from_model = _with(library.llama_init_from_model, context)


def refuse_bad_grammars() -> None:
    """The library answers a grammar that it cannot read with NULL, and the package uses that: one
    bad request would be the end of the process."""
    from llama_cpp import llama_cpp as library

    load = library.llama_sampler_init_grammar

    def call(*args: Any) -> Any:
        sampler = load(*args)
        if not sampler:
            raise ValueError("the grammar cannot be read")
        return sampler

    library.llama_sampler_init_grammar = call


def _with(load: Callable[[Any, Any], Any], fields: dict[str, Any]) -> Callable[[Any, Any], Any]:
    def call(what: Any, params: Any) -> Any:
        for name, value in fields.items():
            setattr(params, name, value)
        return load(what, params)

    return call


def telling(llama: Any) -> Any:
    """The class `llama` with streams that end with their usage, as llama-server's do, and with
    caches that slide."""
    from llama_cpp import llama_cpp as library

    class Telling(llama):  # type: ignore[misc]
        def generate(self, tokens: Sequence[int], *args: Any, **kwargs: Any) -> Iterator[int]:
            if self.has_lost(tokens):
                self.reset()
            self.prompt_tokens, self.completion_tokens = len(tokens), 0
            self.began_s = time.monotonic()
            for token in super().generate(tokens, *args, **kwargs):
                if not self.completion_tokens:
                    self.began_s = time.monotonic()
                self.completion_tokens += 1
                yield token

        def has_lost(self, tokens: Sequence[int]) -> bool:
            """Whether layers that slide no longer hold what comes before the new part of the
            prompt. The package would go on from there without it."""
            window = library.llama_model_n_swa(self.model)
            if not window or not self.n_tokens:
                return False
            kept = self.longest_token_prefix(self._input_ids.tolist(), tokens)
            first = library.llama_memory_seq_pos_min(library.llama_get_memory(self.ctx), 0)
            return bool(first > max(0, kept - window))

        def create_chat_completion(self, *args: Any, **kwargs: Any) -> Any:
            answer = super().create_chat_completion(*args, **kwargs)
            return answer if isinstance(answer, dict) else self._with_usage(answer)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """What the server calls for a plain prompt; chats go past it."""
            answer = super().__call__(*args, **kwargs)
            return answer if isinstance(answer, dict) else self._with_usage(answer)

        def _with_usage(self, chunks: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            chunk: dict[str, Any] = {}
            for chunk in chunks:
                for choice in chunk["choices"]:
                    # It says again what tool_calls says.
                    choice.get("delta", {}).pop("function_call", None)
                yield chunk
            prompt, completion = self.prompt_tokens, self.completion_tokens
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
            predicted_ms = round(1000 * (time.monotonic() - self.began_s), 3)
            timings = {"predicted_n": completion, "predicted_ms": predicted_ms}
            yield {**chunk, "choices": [], "usage": usage, "timings": timings}

    return Telling


class Log:
    """What llama.cpp says at its ordinary level: everything while the model loads, then troubles.

    The package would print what is for developers too, and push the sizes out of the lines that
    are looked at.
    """

    def __init__(self) -> None:
        from llama_cpp import llama_cpp as library

        self.loading = True
        self._level = INFO
        self._callback = library.llama_log_callback(self._take)  # not freed while it is called
        library.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _: Any) -> None:
        self._level = self._level if level == CONTINUED else level
        if self._level in TROUBLE or (self.loading and self._level == INFO):
            print(text.decode(errors="replace"), end="", file=sys.stderr, flush=True)
