"""Addresses that a worker would fetch are refused wherever a request can name them."""

import pytest

from local_swarm.errors import InvalidRequest
from local_swarm.wire.media import refuse_remote_media

HERE = "data:image/png;base64,AAAA"
THERE = "http://127.0.0.1:9/x"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": THERE}},
        {"type": "image_url", "image_url": THERE},
        {"type": "video_url", "video_url": {"url": THERE}},
        {"type": "input_image", "image_url": THERE},
        {"type": "input_file", "file_url": "file:///etc/passwd"},
        {"type": "input_audio", "input_audio": {"data": THERE, "format": "wav"}},
        {"type": "image", "source": {"type": "url", "url": THERE}},
        {"type": "function_call_output", "output": [{"type": "input_image", "image_url": THERE}]},
        {"type": "tool_result", "content": [{"type": "image", "source": {"url": THERE}}]},
    ],
)
def test_a_remote_address_is_refused(part):
    with pytest.raises(InvalidRequest, match="never fetched"):
        refuse_remote_media([{"role": "user", "content": [part]}, part], "messages")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": f"see {THERE}"},
        {"type": "image_url", "image_url": {"url": HERE}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "tool_use", "name": "fetch", "input": {"url": THERE}},
        {"type": "output_text", "text": "x", "annotations": [{"type": "url", "url": THERE}]},
        {"type": "search_result", "source": THERE},
        {"role": "assistant", "tool_calls": [{"function": {"arguments": f'{{"url":"{THERE}"}}'}}]},
    ],
)
def test_data_and_mere_mentions_are_let_through(part):
    refuse_remote_media([part], "messages")
