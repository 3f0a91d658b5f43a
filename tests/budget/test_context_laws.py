"""What holds for the context of every model, whatever its file declares."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.budget.architectures import known_names
from local_swarm.budget.context import Setting, context_size
from local_swarm.budget.estimate import estimate
from local_swarm.budget.kv import CACHE_TYPES
from local_swarm.domain.model import ModelFacts, Recurrence, Window
from tests.budget.samples import dense

WINDOWED = ["gemma2", "gemma3", "gpt-oss", "cohere2", "llama4", "olmo2", "exaone-moe", "laguna"]
IGNORING = ["llama", "phi3", "phimoe", "starcoder2", "qwen2", "qwen3", "mistral3", "unheard-of"]

patterns = st.none() | st.integers(0, 9) | st.tuples(*[st.booleans()] * 8)
windows = st.builds(Window, size=st.none() | st.integers(0, 1 << 20), pattern=patterns)
models = st.builds(
    dense,
    st.sampled_from([*sorted(known_names()), "unheard-of"]),
    layers=st.just(8),
    embedding=st.sampled_from([512, 2048]),
    heads=st.sampled_from([4, 16]),
    heads_kv=st.integers(1, 16),
    head_length=st.sampled_from([64, 96, 256]),
    feed_forward=st.integers(64, 9000),
    weights=st.just(1 << 20),
)
states = st.builds(
    Recurrence,
    conv_kernel=st.integers(0, 4),
    inner=st.integers(0, 4096),
    state=st.integers(0, 128),
    groups=st.integers(0, 8),
    interval=st.none() | st.integers(1, 9),
)
types = st.sampled_from(sorted(CACHE_TYPES))
starts = st.builds(
    Setting,
    ctx=st.integers(1, 200_000),
    slots=st.integers(1, 40),
    kv_unified=st.booleans(),
    swa_full=st.booleans(),
    cache_type_k=types,
    cache_type_v=types,
    ubatch=st.integers(1, 4096),
    flash_attention=st.sampled_from(["auto", "on", "off"]),
)
law = settings(deadline=None)


@law
@given(models, windows, st.sampled_from(WINDOWED), starts)
def test_a_window_never_costs_more_than_the_whole_context(model, window, arch, start):
    slides = context_size(replace(model, arch=arch, window=window), start)
    whole = context_size(replace(model, arch="llama"), start)
    assert slides.bytes <= whole.bytes
    assert (
        slides.bytes
        <= context_size(
            replace(model, arch=arch, window=window), replace(start, swa_full=True)
        ).bytes
        == whole.bytes
    )


@law
@given(models, windows, st.sampled_from(IGNORING), starts)
def test_a_window_that_the_architecture_ignores_changes_nothing(model, window, arch, start):
    plain = replace(model, arch=arch)
    assert estimate(replace(plain, window=window), start) == estimate(plain, start)


@law
@given(models, windows, states, starts, st.integers(0, 20_000))
def test_more_context_never_costs_less(model, window, state, start, more):
    model = replace(model, window=window, recurrence=state)
    longer = replace(start, ctx=start.ctx + more)
    assert context_size(model, start).bytes <= context_size(model, longer).bytes
    assert estimate(model, start).total_bytes <= estimate(model, longer).total_bytes


@law
@given(models, windows, states, starts)
def test_figures_add_up_and_are_never_negative(model: ModelFacts, window, state, start):
    made = estimate(replace(model, window=window, recurrence=state), start)
    parts = (made.context.bytes, made.weights_bytes, made.output_bytes, made.compute.bytes)
    assert all(part >= 0 for part in parts)
    assert made.total_bytes == sum(parts)
