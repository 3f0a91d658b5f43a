"""What holds for every plan, whatever the machine, the model and the wishes."""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from local_swarm.budget import Wishes, plan
from local_swarm.budget.limits import usable_cores
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.plan import Plan
from local_swarm.errors import FitError, UsageError
from tests.budget.samples import dense, machine

auto = st.just("auto")
sizes = st.integers(64 * MIB, 96 * GIB)
hosts = st.builds(
    machine,
    ram_bytes=sizes,
    available=st.none() | sizes,
    limit=st.none() | sizes,
    physical=st.none() | st.integers(1, 32),
    logical=st.integers(1, 64),
)
models = st.builds(
    dense,
    st.sampled_from(["llama", "qwen2", "gemma3", "qwen3moe"]),
    layers=st.integers(1, 48),
    embedding=st.sampled_from([128, 1536, 4096]),
    heads=st.sampled_from([4, 16, 32]),
    heads_kv=st.integers(1, 16),
    feed_forward=st.integers(1, 20000),
    vocab=st.integers(100, 260_000),
    head_length=st.none() | st.sampled_from([48, 64, 128]),
    context_train=st.integers(64, 200_000),
    weights=st.integers(1, 24 * GIB),
    experts_used=st.sampled_from([0, 0, 8]),
)
wishes = st.builds(
    Wishes,
    voters=auto | st.integers(1, 32),
    layout=st.sampled_from(["auto", "processes"]),
    workers=auto | auto | st.integers(1, 8),
    slots=auto | auto | st.integers(1, 34),
    ctx=auto | st.integers(1, 70_000),
    threads=auto | auto | st.integers(1, 4),
    ram_fraction=st.floats(0.1, 1),
    reserve_bytes=st.integers(0, GIB),
    cache_ram_mib=st.integers(0, 512),
)
extra = st.integers(0, 32 * GIB)

# The machine that runs the tests may be busy: time is no law.
law = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def attempt(host, model, asked) -> Plan | None:
    """The plan, or None where none fits; impossible wishes are not interesting here."""
    try:
        return plan(host, model, asked, model_id="any")
    except FitError:
        return None
    except UsageError:
        assume(False)
        raise


@law
@given(hosts, models, wishes)
def test_no_plan_exceeds_what_may_be_used(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    (cpu,) = made.budget
    memory = host.memory
    assert cpu.planned_bytes <= cpu.usable_bytes
    assert cpu.usable_bytes <= memory.total_bytes * asked.ram_fraction
    assert cpu.usable_bytes <= min(memory.available_bytes, memory.limit_bytes or 1 << 60)
    parts = [part for worker in made.workers for part in worker.parts]
    assert sum(part.bytes for part in parts) == cpu.planned_bytes
    assert all(part.device == "cpu" and part.bytes > 0 for part in parts)


@law
@given(hosts, models, wishes)
def test_threads_never_exceed_the_cores(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    assert all(worker.threads >= 1 for worker in made.workers)
    assert sum(worker.threads for worker in made.workers) <= usable_cores(host.cpu)


@law
@given(hosts, models, wishes)
def test_the_same_question_has_the_same_answer(host, model, asked):
    assert attempt(host, model, asked) == attempt(host, model, asked)


@law
@given(hosts, models, wishes)
def test_slots_voters_and_lanes_agree(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    slots = sum(worker.slots for worker in made.workers)
    beside_lanes = sum(worker.slots - 1 for worker in made.workers)
    lanes = {worker.lanes for worker in made.workers}
    assert len(lanes) == 1
    assert 1 <= made.voters <= (beside_lanes if lanes == {1} else slots)
    if asked.voters == "auto":
        assert lanes == ({1} if beside_lanes >= 2 else {0})
    else:
        assert made.voters == asked.voters
        assert lanes == ({1} if asked.voters <= beside_lanes else {0})


@law
@given(hosts, models, wishes)
def test_every_slot_has_the_context_it_is_promised(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    for worker in made.workers:
        assert 1 <= worker.ctx <= model.context_train
        assert worker.ctx == model.context_train or worker.ctx % 256 == 0
        if asked.ctx == "auto":
            assert min(4096, model.context_train) <= worker.ctx <= 16384
        else:
            assert worker.ctx >= min(asked.ctx, model.context_train)


@law
@given(hosts, models, wishes, extra, extra, extra)
def test_more_memory_never_gives_a_worse_plan(host, model, asked, total, available, limit):
    poor = attempt(host, model, asked)
    assume(poor is not None)
    memory = host.memory
    richer = replace(
        memory,
        total_bytes=memory.total_bytes + total,
        available_bytes=memory.available_bytes + available,
        limit_bytes=None if memory.limit_bytes is None else memory.limit_bytes + limit,
    )
    rich = attempt(replace(host, memory=richer), model, asked)
    assert rich is not None
    assert rich.voters >= poor.voters
    assert rich.workers[0].ctx >= poor.workers[0].ctx


@law
@given(hosts, models, wishes)
def test_every_plan_explains_itself(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    assert len(made.reasons) >= 4
    assert all(reason.endswith(".") and "\n" not in reason for reason in made.reasons)
