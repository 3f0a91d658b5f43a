"""What holds for every plan, whatever the machine, the model and the wishes."""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from local_swarm.budget import Wishes, plan
from local_swarm.budget.case import case_of
from local_swarm.budget.limits import limits, usable_cores
from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.plan import Plan
from local_swarm.errors import FitError, UsageError
from tests.budget.samples import dense, machine, spread

auto = st.just("auto")
sizes = st.integers(64 * MIB, 96 * GIB)
bare_hosts = st.builds(
    machine,
    ram_bytes=sizes,
    available=st.none() | sizes,
    limit=st.none() | sizes,
    physical=st.none() | st.integers(1, 32),
    logical=st.integers(1, 64),
)


@st.composite
def equipped(draw):
    """A machine with up to four accelerators."""
    host, gpus = draw(bare_hosts), []
    for number in range(draw(st.integers(0, 4))):
        backend = draw(st.sampled_from(["CUDA", "CUDA", "CUDA", "ROCm", "Vulkan", "Metal"]))
        total = draw(st.none() | st.integers(0, 48 * GIB) | st.just(24 * GIB))
        free = None if total is None else draw(st.none() | st.integers(0, total))
        integrated = draw(st.sampled_from([False, False, None, True]))
        gpus.append(
            Device(
                f"{backend}{number}", None, None, None, backend, total, free, None,
                integrated=integrated,
            )
        )  # fmt: skip
    return replace(host, devices=tuple(gpus))


hosts = bare_hosts | equipped()
models = st.builds(
    lambda *args, evenly, **facts: (
        spread(dense(*args, **facts)) if evenly else dense(*args, **facts)
    ),
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
    evenly=st.booleans(),
)
wishes = st.builds(
    Wishes,
    voters=auto | st.integers(1, 32),
    layout=st.sampled_from(["auto", "processes"]),
    workers=auto | auto | st.integers(1, 8),
    slots=auto | auto | st.integers(1, 34),
    ctx=auto | st.integers(1, 70_000),
    threads=auto | auto | st.integers(1, 4),
    ram_fraction=auto | st.floats(0.1, 1),
    gpu_memory_fraction=st.floats(0.1, 1),
    gpu_layers=auto | auto | auto | st.integers(0, 60),
    reserve_bytes=st.integers(0, GIB),
    cache_ram_mib=auto | auto | st.integers(0, 512),
    vectors=st.sampled_from([False, False, True]),
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
    cpu, *gpus = made.budget
    memory = host.memory
    assert cpu.usable_bytes <= memory.available_bytes
    assert memory.limit_bytes is None or cpu.usable_bytes <= memory.limit_bytes
    if asked.ram_fraction != "auto":
        assert cpu.usable_bytes <= memory.total_bytes * asked.ram_fraction
    in_ram = {
        device.id
        for device in host.devices
        if device.integrated and (device.total_bytes or 0) <= memory.total_bytes
    }
    assert all(part.bytes > 0 for worker in made.workers for part in worker.parts)
    for budget in made.budget:
        assert budget.planned_bytes <= budget.usable_bytes
        theirs = in_ram | {"cpu"} if budget.device == "cpu" else {budget.device}
        parts = [p.bytes for w in made.workers for p in w.parts if p.device in theirs]
        assert sum(parts) == budget.planned_bytes
    known = {gpu.device for gpu in gpus} | {"cpu"}
    assert {p.device for w in made.workers for p in w.parts} <= known


@law
@given(hosts, models, wishes)
def test_what_may_be_used_leaves_the_reserve_and_others_alone(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    for budget in made.budget[1:]:
        device = next(d for d in host.devices if d.id == budget.device)
        if not device.integrated:
            free = device.total_bytes if device.free_bytes is None else device.free_bytes
            assert budget.usable_bytes <= free
            assert budget.usable_bytes <= budget.total_bytes * asked.gpu_memory_fraction


@law
@given(hosts, models, wishes)
def test_every_worker_has_its_devices_and_all_layers_a_place(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    for worker in made.workers:
        if worker.devices == ("cpu",):
            assert (worker.gpu_layers, worker.tensor_split, worker.pins) == (0, (), ())
            continue
        assert 0 < worker.gpu_layers <= model.layers + 1
        assert len(worker.tensor_split) in (0, len(worker.devices))
        assert bool(worker.tensor_split) == (len(worker.devices) > 1)
        backends = {device.rstrip("0123456789") for device in worker.devices}
        assert len(backends) == 1


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
            assert min(4096, model.context_train) <= worker.ctx
            assert worker.ctx <= 16384 or worker.devices != ("cpu",)
        else:
            assert worker.ctx >= min(asked.ctx, model.context_train)


def taking_part(host, asked):
    return [pool.device for pool in limits(host, asked).gpus]


def worth(plan, model, asked, host):
    """The way it runs, then what was asked for and is given, in the order of giving up."""
    first = plan.workers[0]
    promised = min(first.ctx, model.context_train, 16384 if asked.ctx == "auto" else 1 << 60)
    seat = case_of(host, asked).stages[0].layouts[0].seating
    traded = promised < min(16384, model.context_train) if asked.ctx == "auto" else False
    traded = traded or (plan.voters, first.lanes) < (seat.voters, seat.lanes)
    on_gpu = first.devices != ("cpu",)
    whole = first.gpu_layers > model.layers and not first.cpu_moe_layers
    way = 1 if not on_gpu else 3 if whole or asked.gpu_layers != "auto" else 0 if traded else 2
    kept = plan.voters, first.lanes, first.cache_type_k == "f16", not first.pool
    return way, promised, *kept


@law
@given(hosts, models, wishes, extra, extra, extra, st.lists(extra, min_size=4, max_size=4))
def test_more_memory_never_gives_a_worse_plan(host, model, asked, total, available, limit, more):
    poor = attempt(host, model, asked)
    assume(poor is not None)
    memory = host.memory
    richer = replace(
        memory,
        total_bytes=memory.total_bytes + total,
        available_bytes=memory.available_bytes + available,
        limit_bytes=None if memory.limit_bytes is None else memory.limit_bytes + limit,
    )
    # One that says 0 does not say: with memory it would be another device, not more of this one.
    devices = tuple(
        device if device.integrated or not device.total_bytes else replace(
            device,
            total_bytes=device.total_bytes + size,
            free_bytes=None if device.free_bytes is None else device.free_bytes + size,
        )
        for device, size in zip(host.devices, more, strict=False)
    )  # fmt: skip
    assume(not any(d.integrated for d in host.devices) or not total)
    richer_host = replace(host, memory=richer, devices=devices)
    # Which devices take part is a rule of its own: discrete cards, or an integrated one with more
    # memory apart. Where the cards come to have more, the plan is another one, not a richer one.
    assume(taking_part(richer_host, asked) == taking_part(host, asked))
    rich = attempt(richer_host, model, asked)
    assert rich is not None
    assert worth(rich, model, asked, richer_host) >= worth(poor, model, asked, host)


@law
@given(hosts, models, wishes)
def test_every_plan_explains_itself(host, model, asked):
    made = attempt(host, model, asked)
    assume(made is not None)
    assert len(made.reasons) >= 4
    assert all(reason.endswith(".") and "\n" not in reason for reason in made.reasons)
