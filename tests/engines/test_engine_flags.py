"""What a plan says to an engine, and what a user may add."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.domain.model import Purpose
from local_swarm.domain.plan import DRAFT_TOKENS, WorkerPlan
from local_swarm.engines import extra_args, slot_files
from local_swarm.engines.environment import VISIBLE, is_pinnable, pin, worker_environment
from local_swarm.engines.flags import plan_flags
from local_swarm.engines.xllamacpp_flags import FLAGS
from local_swarm.errors import EngineError, UsageError


def flags(worker: WorkerPlan, **changes: object) -> list[str]:
    return list(plan_flags(replace(worker, **changes), host="127.0.0.1", port=9000))  # type: ignore[arg-type]


def value(words: list[str], flag: str) -> str:
    assert words.count(flag) == 1, flag
    return words[words.index(flag) + 1]


def test_context_is_the_total_over_all_slots(worker: WorkerPlan) -> None:
    words = flags(worker, ctx=16384, slots=6)
    assert value(words, "-c") == "98304"
    assert value(words, "-np") == "6"


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("-m", "/models/m.gguf"),
        ("--alias", "m:7b"),
        ("-ngl", "99"),
        ("-ctk", "q8_0"),
        ("-ctv", "f16"),
        ("-b", "1024"),
        ("-ub", "256"),
        ("-fa", "on"),
        ("--cache-ram", "128"),
        ("--ctx-checkpoints", "3"),
        ("-t", "4"),
        ("-tb", "4"),
        ("--fit", "off"),
        ("--n-cpu-moe", "5"),
        ("-ts", "3,1.5"),
        ("--host", "127.0.0.1"),
        ("--port", "9000"),
    ],
)
def test_everything_the_plan_decided_is_said(worker: WorkerPlan, flag: str, expected: str) -> None:
    words = flags(
        worker,
        model_path="/models/m.gguf",
        model_id="m:7b",
        devices=("CUDA0", "CUDA1"),
        gpu_layers=99,
        tensor_split=(3.0, 1.5),
        threads=4,
        cache_type_k="q8_0",
        batch=1024,
        ubatch=256,
        flash_attention="on",
        cache_ram_mib=128,
        ctx_checkpoints=3,
        cpu_moe_layers=5,
    )
    assert value(words, flag) == expected


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ((15.00001, 15.0), "15.00001,15"),
        ((1234567.0, 0.1), "1234567,0.1"),
        ((3, 1), "3,1"),
        ((1 / 3, 2 / 3), "0.3333333333333333,0.6666666666666666"),
    ],
)
def test_a_split_keeps_its_digits(worker: WorkerPlan, split: tuple[float, ...], said: str) -> None:
    words = flags(worker, devices=("CUDA0", "CUDA1"), tensor_split=split)
    assert value(words, "-ts") == said


@pytest.mark.parametrize("flag", ["-Cr", "--cpu-range", "-Crb", "--cpu-range-batch"])
def test_the_processors_are_the_user_s(worker: WorkerPlan, flag: str) -> None:
    assert extra_args.check([flag, "0-3"]) == (flag, "0-3")
    assert flag not in flags(worker)


def test_cache_and_repacking_are_always_explicit(worker: WorkerPlan) -> None:
    assert {"--no-kv-unified", "--no-repack"} <= set(flags(worker))
    assert {"-kvu", "--repack"} <= set(flags(worker, kv_unified=True, repack=True))


def test_every_stream_and_a_probe_find_an_http_thread(worker: WorkerPlan) -> None:
    assert int(value(flags(worker, slots=8), "--threads-http")) > 8


def test_all_that_a_plan_says_is_closed_to_the_user(worker: WorkerPlan) -> None:
    words = flags(
        worker,
        devices=("CUDA0", "CUDA1"),
        tensor_split=(1.0, 1.0),
        cpu_moe_layers=1,
        mmproj="p",
        draft="d",
    )
    for flag in extra_args.flags_in([*words, *flags(worker)]):
        with pytest.raises(UsageError, match=flag):
            extra_args.check([flag])


@pytest.mark.parametrize(
    "words",
    [
        ["--props"],
        ["--temp", "0.2", "--tools", "all"],
        ["--api-key", "x"],
        ["--api_key", "x"],
        ["--api-key=x"],
        ["--slot-save-path", "d"],
        ["-hf", "owner/repo"],
        ["--model-url", "http://x"],
        ["--models-dir", "d"],
        ["--fim-qwen-7b-default"],
        ["--gpt-oss-20b-default"],
        ["--rpc", "host:1"],
        ["--ui-mcp-proxy"],
        ["--mcp-servers-json", "{}"],
        ["--ssl-key-file", "k"],
        ["--cors-origins", "*"],
        ["--help"],
        ["--mmproj-url", "http://x"],
    ],
)
def test_what_safety_owns_is_refused_by_name(words: list[str]) -> None:
    named = next(w for w in reversed(words) if w.startswith("-")).split("=")[0].replace("_", "-")
    with pytest.raises(UsageError) as refusal:
        extra_args.check(words)
    assert named in refusal.value.message
    assert refusal.value.hint
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--temp", "0.2", "--top-k", "20"],
        ["--seed", "-1"],
        ["--rope-freq-base", "1e6"],
        ["--chat-template", "chatml"],
        ["--no-warmup", "--sse-ping-interval", "5"],
        ["--yarn-orig-ctx", "4096", "--rope_scale", "2"],
        ["--chat-template-kwargs", '{"enable_thinking": false}'],
        ["--reasoning-format", "none", "--reasoning-budget", "0"],
        ["--cache-reuse", "256"],
    ],
)
def test_what_nobody_owns_passes_unchanged(words: list[str]) -> None:
    assert extra_args.check(words) == tuple(words)


CLOSED = (
    # memory and placement
    "--no-mmap --mmap --mlock -lm --load-mode -lzm --lazy-mode -sm --split-mode -mg --main-gpu "
    "--swa-full --moe-cache-mib "
    # a second model
    "-md --model-draft --spec-draft-model --spec-draft-ngl --spec-type --spec-default --mtp "
    "-ctkd -ctvd --cache-type-k-draft -otd --override-tensor-draft -cmoed --cpu-moe-draft "
    "-ncmoed --n-cpu-moe-draft -devd --device-draft -ngld --n-gpu-layers-draft -td -tbd -Cd "
    "-Crd -Cbd --draft-max --no-spec-draft-backend-sampling "
    # adapters and projectors
    "--lora --lora-scaled --lora_scaled --control-vector --control-vector-scaled "
    "--control-vector-layer-range -mm --mmproj --mmproj-auto --no-mmproj "
    "--no-mmproj-offload --mmproj-device -mmdev "
    # what the gateway relies on
    "-nocb --no-cont-batching -cb --cont-batching -to --timeout --sleep-idle-seconds "
    # prompts on disk, and programs
    "--log-prompts-dir --log-file --video-fps --video-ffmpeg-dir"
)


@pytest.mark.parametrize(
    ("words", "vectors", "ranks"),
    [
        ((), False, False),
        (("--temp", "1"), False, False),
        (("--embeddings",), True, False),
        (("--embedding", "--pooling", "mean"), True, False),
        (("--pooling", "rank"), True, True),
        (("--temp", "1", "--reranking"), True, True),
        (("--rerank", "--top-k", "1"), True, True),
    ],
)
def test_what_asks_for_vectors_is_seen(words: tuple[str, ...], vectors: bool, ranks: bool) -> None:
    assert extra_args.asks_for_vectors(words) is vectors
    assert extra_args.asks_for_ranks(words) is ranks
    assert extra_args.check(words) == words


@pytest.mark.parametrize(
    ("purpose", "flags"),
    [("chat", set()), ("embedding", {"--embeddings"}), ("rerank", {"--reranking"})],
)
def test_a_worker_is_started_for_what_its_model_is_for(
    worker: WorkerPlan, purpose: Purpose, flags: set[str]
) -> None:
    argv = plan_flags(replace(worker, purpose=purpose), host="127.0.0.1", port=9000)
    assert extra_args.VECTORS & set(argv) == flags


@pytest.mark.parametrize("flag", CLOSED.split())
def test_what_the_plan_and_the_gateway_own_is_refused_by_name(flag: str) -> None:
    with pytest.raises(UsageError) as refusal:
        extra_args.check([flag, "1"])
    assert flag.replace("_", "-") in refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize("flag", ["--lora", "--control-vector"])
def test_what_the_plan_does_not_count_yet_comes_later(flag: str) -> None:
    with pytest.raises(UsageError, match="does not count its memory") as refusal:
        extra_args.check([flag])
    assert "comes with a later version" in refusal.value.hint


@pytest.mark.parametrize(
    ("flag", "setting"),
    [
        ("--mmproj", "models.mmproj"),
        ("-mm", "models.mmproj"),
        ("--no-mmproj-offload", "models.mmproj"),
        ("--image-max-tokens", "models.mmproj"),
        ("-md", "models.draft"),
        ("--spec-type", "models.draft"),
        ("--spec-draft-n-max", "models.draft"),
        ("--gpu-layers-draft", "models.draft"),
    ],
)
def test_projector_and_draft_are_settings(flag: str, setting: str) -> None:
    with pytest.raises(UsageError, match="counts the memory") as refusal:
        extra_args.check([flag, "x"])
    assert setting in (refusal.value.hint or "")


@pytest.mark.parametrize(
    "flag", ["--log-disable", "--log-jsonl", "--log_jsonl", "--log-colors", "--log-file"]
)
def test_nothing_may_hide_what_the_engine_prints(flag: str) -> None:
    with pytest.raises(UsageError, match=flag.replace("_", "-")) as refusal:
        extra_args.check([flag])
    assert "logs.dir" in (refusal.value.hint or "")


def test_a_plan_without_projector_or_draft_says_nothing_of_them(worker: WorkerPlan) -> None:
    assert not {"--mmproj", "--mmproj-offload", "-md", "--spec-type"} & set(flags(worker))


def test_a_projector_is_on_the_gpu_where_the_worker_has_one(worker: WorkerPlan) -> None:
    words = flags(worker, mmproj="/models/eyes.gguf")
    assert value(words, "--mmproj") == "/models/eyes.gguf"
    assert "--no-mmproj-offload" in words
    on_gpu = flags(worker, mmproj="/models/eyes.gguf", devices=("CUDA0",))
    assert "--mmproj-offload" in on_gpu
    assert "--no-mmproj-offload" not in on_gpu


def test_a_draft_runs_as_the_model_does(worker: WorkerPlan) -> None:
    words = flags(worker, draft="/models/draft.gguf", cache_type_k="q8_0", cache_type_v="q5_1")
    assert value(words, "-md") == "/models/draft.gguf"
    assert value(words, "--spec-type") == "draft-simple"
    assert value(words, "--spec-draft-n-max") == str(DRAFT_TOKENS)
    assert (value(words, "-ctkd"), value(words, "-ctvd")) == ("q8_0", "q5_1")
    assert value(words, "-ngld") == "0"
    assert int(value(flags(worker, draft="d", devices=("CUDA0",)), "-ngld")) > 512


def test_every_owner_says_why_and_what_instead() -> None:
    for why, hint, _ in (*extra_args.OWNED, *extra_args.OWNED_FAMILIES):
        assert why
        assert hint.endswith(".")


def test_the_key_travels_in_the_environment(worker: WorkerPlan) -> None:
    assert worker_environment(worker, "secret")["LLAMA_API_KEY"] == "secret"


def test_a_cpu_worker_sees_no_gpu(worker: WorkerPlan) -> None:
    hidden = pin(("cpu",))
    assert hidden["CUDA_VISIBLE_DEVICES"] == ""
    assert hidden["HIP_VISIBLE_DEVICES"] == "-1"
    assert value(flags(worker), "--device") == "none"


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (("CUDA1",), {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        (
            ("GPU-aa-bb", "GPU-cc-dd"),
            {
                "CUDA_VISIBLE_DEVICES": "GPU-aa-bb,GPU-cc-dd",
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            },
        ),
        (("ROCm0", "cpu"), {"HIP_VISIBLE_DEVICES": "0"}),
        (("Vulkan2",), {"GGML_VK_VISIBLE_DEVICES": "2"}),
        (("SYCL0",), {"ONEAPI_DEVICE_SELECTOR": "level_zero:0"}),
        (("MTL0",), {}),
        (("MUSA1",), {"MUSA_VISIBLE_DEVICES": "1"}),
        (("CANN1", "CANN0"), {"ASCEND_RT_VISIBLE_DEVICES": "1,0"}),
        (("OpenCL0",), {"GGML_OPENCL_DEVICE": "0"}),
        (("GPUOpenCL",), {}),
    ],
)
def test_a_gpu_worker_sees_its_devices_only(
    devices: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert pin(devices) == {
        "CUDA_VISIBLE_DEVICES": "",
        "HIP_VISIBLE_DEVICES": "-1",
        "GGML_VK_VISIBLE_DEVICES": "",
        **expected,
    }


@pytest.mark.parametrize("devices", [("CUDA0", "GPU-aa-bb"), ("MIG-aa", "cpu", "CUDA1")])
def test_numbers_and_uuids_of_one_backend_are_not_mixed(devices: tuple[str, ...]) -> None:
    with pytest.raises(EngineError, match=r"by number.*by UUID") as refusal:
        pin(devices)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "devices", [("MIG-a", "MIG-b"), ("GPU-a", "MIG-b"), ("OpenCL0", "OpenCL1")]
)
def test_devices_that_no_process_sees_together_are_refused(devices: tuple[str, ...]) -> None:
    with pytest.raises(EngineError, match="only one") as refusal:
        pin(devices)
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("device", "given", "expected"),
    [
        ("ROCm1", "3,5", "5"),
        ("ROCm0", "GPU-a1", "GPU-a1"),
        ("ROCm2", "3,5", "2"),
        ("ROCm0", "", "0"),
        ("Vulkan0", "1", "1"),
        ("SYCL1", "level_zero:2,4", "level_zero:4"),
        ("SYCL0", "opencl:1", "level_zero:0"),
        ("GPU-aa", "3,5", "GPU-aa"),
        ("OpenCL1", "0,7", "1"),
    ],
)
def test_a_number_counts_among_what_we_were_shown(device: str, given: str, expected: str) -> None:
    inherited = dict.fromkeys(VISIBLE.values(), given)
    assert expected in pin((device,), inherited=inherited).values()


def test_a_worker_is_pinned_by_its_pins(worker: WorkerPlan) -> None:
    pinned = replace(worker, devices=("CUDA1",), pins=("GPU-aa",))
    assert worker_environment(pinned, "k")["CUDA_VISIBLE_DEVICES"] == "GPU-aa"
    by_number = replace(worker, devices=("CUDA1",))
    assert worker_environment(by_number, "k")["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(("pins", "number"), [((), "7"), (("CUDA1",), "1")], ids=["none", "its id"])
def test_pins_are_not_looked_up_among_what_we_are_shown(
    worker: WorkerPlan, monkeypatch: pytest.MonkeyPatch, pins: tuple[str, ...], number: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    environment = worker_environment(replace(worker, devices=("CUDA1",), pins=pins), "k")
    assert environment["CUDA_VISIBLE_DEVICES"] == number


@pytest.mark.parametrize(("device", "can"), [("CUDA0", True), ("cpu", True), ("HTP0", False)])
def test_what_can_be_pinned_is_known_before(device: str, can: bool) -> None:
    assert is_pinnable(device) is can


def test_numbers_and_uuids_of_two_backends_are() -> None:
    pins = pin(("GPU-aa-bb", "ROCm1"))
    assert (pins["CUDA_VISIBLE_DEVICES"], pins["HIP_VISIBLE_DEVICES"]) == ("GPU-aa-bb", "1")


@pytest.mark.parametrize("device", ["tpu0", "CUDA", "", "0"])
def test_a_device_that_cannot_be_pinned_is_refused(device: str) -> None:
    with pytest.raises(EngineError, match="pinned"):
        pin((device,))


def test_the_runner_knows_every_flag_of_a_plan(worker: WorkerPlan) -> None:
    changes = {"cpu_moe_layers": 1, "tensor_split": (1.0,), "repack": True}
    words = flags(worker, **changes, mmproj="p", draft="d")
    on_gpu = flags(worker, mmproj="p", devices=("CUDA0",))
    assert set(extra_args.flags_in([*words, *on_gpu, "--no-repack", "-kvu"])) <= set(FLAGS)


def test_the_runner_knows_no_flag_that_nobody_may_say(worker: WorkerPlan) -> None:
    """A row that no plan emits and no user may pass is a row too many."""
    changes = {"cpu_moe_layers": 1, "tensor_split": (1.0,)}
    here = flags(worker, **changes, mmproj="p", draft="d", kv_unified=True, repack=True)
    said = {*here, *flags(worker, mmproj="p", devices=("CUDA0",)), slot_files.FLAG}
    for row in FLAGS.values():
        assert said & set(row.names) or any(is_open(name) for name in row.names), row.names


def is_open(flag: str) -> bool:
    try:
        extra_args.check([flag])
    except UsageError:
        return False
    return True
