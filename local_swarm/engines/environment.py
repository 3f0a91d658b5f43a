"""What a worker's environment says: its key, and the devices it may see.

Devices are pinned by each backend's own visibility variable, because every engine obeys those. A
device is named as llama.cpp names it (CUDA0, ROCm1, Vulkan0, SYCL0, MTL0, GPUOpenCL) or by its
NVIDIA UUID. The child numbers what it sees from 0 again, in the order of the variable: so do CUDA,
HIP, MUSA, CANN and Vulkan; SYCL's selector only filters, and keeps the runtime's own order.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan
from local_swarm.errors import EngineError

API_KEY = "LLAMA_API_KEY"
# What a child must not inherit: our own settings (they hold keys) and the engine's, which would
# change what the flags say.
DROPPED = ("LSWARM_", "LLAMA_ARG_", API_KEY)
SYCL, LEVEL_ZERO = "ONEAPI_DEVICE_SELECTOR", "level_zero:"
VISIBLE = {
    "cuda": "CUDA_VISIBLE_DEVICES",
    "rocm": "HIP_VISIBLE_DEVICES",
    "hip": "HIP_VISIBLE_DEVICES",
    "vulkan": "GGML_VK_VISIBLE_DEVICES",
    "sycl": SYCL,
    "musa": "MUSA_VISIBLE_DEVICES",
    "cann": "ASCEND_RT_VISIBLE_DEVICES",
    "opencl": "GGML_OPENCL_DEVICE",
    "gpuopencl": "GGML_OPENCL_DEVICE",
}
# What hides a backend. HIP takes an empty list as "all"; the others take it as "none".
# Metal has no variable. SYCL has one without a word for "none": a selector that matches nothing
# makes the runtime throw, and llama.cpp's SYCL builds have ended on that (its issue 10929). So a
# CPU worker is kept off SYCL devices by `--device none` alone, and a worker on another backend's
# device still sees them in a build that has both. The same holds for OpenCL, whose variable only
# chooses (a number that is none ends llama.cpp), and for MUSA and CANN, whose words for "none" are
# not documented.
HIDDEN = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "-1",
    "GGML_VK_VISIBLE_DEVICES": "",
}
# Metal has one device, and no variable for it. OpenCL's are all called GPUOpenCL: without a number
# llama.cpp takes the first GPU's platform by itself. A number is its own, over all platforms and
# CPUs too (GGML_OPENCL_PLATFORM would make it one within a platform).
UNPINNED = {"mtl", "metal"}
UNNUMBERED = {"opencl", "gpuopencl"}
ONE_ONLY = {"GGML_OPENCL_DEVICE"}


def worker_environment(worker: WorkerPlan, api_key: str) -> dict[str, str]:
    """What to add to the child's environment: the key, and the worker's `pins` as they are.

    Without pins its `devices` are pinned, by the numbers that the engine gave to what we are shown.
    """
    shown = pin(worker.pins) if worker.pins else pin(worker.devices, inherited=os.environ)
    return {API_KEY: api_key, **shown}


def pin(devices: Sequence[str], *, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that show these devices, and hide those of every other backend.

    `inherited` is the environment we were started with: where it shows only some devices already,
    the engine numbered those, so a number means an entry of that list. Raises EngineError for
    devices that cannot be pinned: a worker must not take what the plan gave to another.
    """
    shown: dict[str, list[str]] = defaultdict(list)
    for device in devices:
        if device == CPU_DEVICE:
            continue
        backend, address = _address(device)
        if address:
            shown[VISIBLE[backend]].append(_entry(VISIBLE[backend], address, inherited or {}))
    for variable, addresses in shown.items():
        _check_together(variable, addresses)
    pins = HIDDEN | {variable: ",".join(addresses) for variable, addresses in shown.items()}
    if SYCL in pins:
        pins[SYCL] = LEVEL_ZERO + pins[SYCL]
    if "CUDA_VISIBLE_DEVICES" in shown:
        # Without it CUDA numbers by speed, while NVML and the plan number by PCI bus.
        pins["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    return pins


def is_pinnable(device: str) -> bool:
    """Whether a worker can be given this device and no other."""
    try:
        pin((device,))
    except EngineError:
        return False
    return True


def _check_together(variable: str, addresses: Sequence[str]) -> None:
    named = ", ".join(addresses)
    if len({address.isdecimal() for address in addresses}) > 1:
        raise EngineError(
            f"One worker cannot have devices by number and by UUID: {named}.",
            hint="Name all devices of a worker in one of the two ways.",
        )
    alone = variable in ONE_ONLY or any(address.startswith("MIG-") for address in addresses)
    if alone and len(addresses) > 1:
        raise EngineError(
            f"One worker can see only one of these devices: {named}.",
            hint="Give each a worker of its own.",
        )


def _entry(variable: str, address: str, inherited: Mapping[str, str]) -> str:
    """What `address` is called in the list that we inherited; itself where there is none."""
    given = inherited.get(variable, "")
    if variable == SYCL:
        given = given.removeprefix(LEVEL_ZERO) if given.startswith(LEVEL_ZERO) else ""
    entries = [entry.strip() for entry in given.split(",")]
    if variable in ONE_ONLY or not address.isdecimal() or int(address) >= len(entries):
        return address
    return entries[int(address)] or address


def _address(device: str) -> tuple[str, str]:
    """The backend, and the device's number or UUID; "" where there is nothing to set."""
    if re.match(r"(GPU|MIG)-", device):
        return "cuda", device
    match = re.fullmatch(r"([A-Za-z]+):?(\d*)", device)
    backend = match[1].lower() if match else ""
    if match and backend in UNPINNED:
        return backend, ""
    if match and backend in VISIBLE and (match[2] or backend in UNNUMBERED):
        return backend, match[2]
    raise EngineError(
        f"No engine here can be pinned to the device {device!r}.",
        hint="Set `swarm.devices` to devices that `lswarm hardware` lists.",
    )
