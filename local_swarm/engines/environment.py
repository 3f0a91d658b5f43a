"""What a worker's environment says: its key, and the devices it may see. Pure.

Devices are pinned by each backend's own visibility variable, because every engine obeys those. A
device is named as llama.cpp names it (CUDA0, ROCm1, Vulkan0, SYCL0, MTL0) or by its NVIDIA UUID.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan
from local_swarm.errors import EngineError

API_KEY = "LLAMA_API_KEY"
VISIBLE = {
    "cuda": "CUDA_VISIBLE_DEVICES",
    "rocm": "HIP_VISIBLE_DEVICES",
    "hip": "HIP_VISIBLE_DEVICES",
    "vulkan": "GGML_VK_VISIBLE_DEVICES",
    "sycl": "ONEAPI_DEVICE_SELECTOR",
}
# What hides a backend. HIP takes an empty list as "all"; the others take it as "none".
# Metal has no variable. SYCL has one without a word for "none": a selector that matches nothing
# makes the runtime throw, and llama.cpp's SYCL builds have ended on that (its issue 10929). So a
# CPU worker is kept off SYCL devices by `--device none` alone, and a worker on another backend's
# device still sees them in a build that has both.
HIDDEN = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "-1",
    "GGML_VK_VISIBLE_DEVICES": "",
}
UNPINNED = {"mtl", "metal"}  # there is one, and no variable for it


def worker_environment(worker: WorkerPlan, api_key: str) -> dict[str, str]:
    """What to add to the child's environment."""
    return {API_KEY: api_key, **pin(worker.devices)}


def pin(devices: Sequence[str]) -> dict[str, str]:
    """The variables that show these devices, and hide those of every other backend.

    Raises EngineError for devices that cannot be pinned: a worker must not take what the plan gave
    to another.
    """
    shown: dict[str, list[str]] = defaultdict(list)
    for device in devices:
        if device == CPU_DEVICE:
            continue
        backend, address = _address(device)
        if backend not in UNPINNED:
            shown[VISIBLE[backend]].append(address)
    for addresses in shown.values():
        if len({address.isdecimal() for address in addresses}) > 1:
            raise EngineError(
                f"One worker cannot have devices by number and by UUID: {', '.join(addresses)}.",
                hint="Name all devices of a worker in one of the two ways.",
            )
    pins = HIDDEN | {variable: ",".join(addresses) for variable, addresses in shown.items()}
    if "ONEAPI_DEVICE_SELECTOR" in pins:
        pins["ONEAPI_DEVICE_SELECTOR"] = "level_zero:" + pins["ONEAPI_DEVICE_SELECTOR"]
    if "CUDA_VISIBLE_DEVICES" in shown:
        # Without it CUDA numbers by speed, while NVML and the plan number by PCI bus.
        pins["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    return pins


def _address(device: str) -> tuple[str, str]:
    if re.match(r"(GPU|MIG)-", device):
        return "cuda", device
    match = re.fullmatch(r"([A-Za-z]+):?(\d*)", device)
    backend = match[1].lower() if match else ""
    if match and (backend in UNPINNED or (backend in VISIBLE and match[2])):
        return backend, match[2]
    raise EngineError(
        f"No engine here can be pinned to the device {device!r}.",
        hint="Set `swarm.devices` to devices that `lswarm hardware` lists.",
    )
