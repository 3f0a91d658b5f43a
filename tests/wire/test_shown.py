"""What of a worker's own words may be shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_swarm.wire import shown

PARAMS: dict[str, Any] = {
    "temperature": 0.8,
    "samplers": ["top_k", "temperature"],
    "chat_format": "Content-only",
    "reasoning_format": "none",
    "ignore_eos": False,
    "lora": [{"id": 0, "scale": 1.0}],
}
SLOT = {"id": 0, "n_ctx": 4096, "is_processing": True, "next_token": [{"n_decoded": 3}]}


@pytest.mark.parametrize(
    "path",
    ["/home/me/m.gguf", "C:\\Users\\me\\m.gguf", "\\\\host\\me\\m.gguf", "~/me/m.gguf",
     "file:///home/me/m.gguf"],
)  # fmt: skip
def test_of_a_path_the_name_is_shown_wherever_it_stands(path: str) -> None:
    told = {"a": path, "list": [path, {"b": [path]}], "deep": {"model_path": path}}
    shortened = shown.props(told)
    assert shortened == {
        "a": "m.gguf",
        "list": ["m.gguf", {"b": ["m.gguf"]}],
        "deep": {"model_path": "m.gguf"},
    }


@pytest.mark.parametrize("text", ["</s>", "{%- if tools -%}\n/a/b", "/", "b6789-abc", "text/plain"])
def test_what_is_no_path_stays(text: str) -> None:
    assert shown.props({"told": text}) == {"told": text}


def test_keys_are_left_out_at_any_depth() -> None:
    told = {"api_key": "x", "list": [{"api_keys": ["x"], "a": 1}]}
    assert shown.props(told) == {"list": [{"a": 1}]}


def test_figures_and_the_engines_own_names_of_a_slot_are_shown() -> None:
    told = {**SLOT, "params": PARAMS}
    assert shown.slot(told, "w0", prompts=False) == {"worker": "w0", **told}


@pytest.mark.parametrize("key", ["prompt", "stop", "dry_sequence_breakers", "not_yet_known"])
@pytest.mark.parametrize("secret", ["secret", ["secret"], [{"a": "secret"}], {"a": ["secret"]}])
def test_no_text_of_a_client_is_shown_in_a_field_that_is_not_known(key: str, secret: Any) -> None:
    told = {**SLOT, key: secret, "params": {**PARAMS, key: secret}}
    assert "secret" not in json.dumps(shown.slot(told, "w0", prompts=False))
    assert shown.slot(told, "w0", prompts=True) == {"worker": "w0", **told}
