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
# HIP takes an empty list as "all"; the others take it as "none".
NO_GPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "-1",
    "GGML_VK_VISIBLE_DEVICES": "",
}
UNPINNED = {"mtl", "metal"}  # there is one, and no variable for it


def worker_environment(worker: WorkerPlan, api_key: str) -> dict[str, str]:
    """What to add to the child's environment."""
    return {API_KEY: api_key, **pin(worker.devices)}


def pin(devices: Sequence[str]) -> dict[str, str]:
    """The variables that show exactly these devices.

    Raises EngineError for a device that cannot be pinned: a worker must not take what the plan
    gave to another.
    """
    if set(devices) <= {CPU_DEVICE}:
        return dict(NO_GPU)
    shown: dict[str, list[str]] = defaultdict(list)
    for device in devices:
        if device == CPU_DEVICE:
            continue
        backend, address = _address(device)
        if backend not in UNPINNED:
            shown[VISIBLE[backend]].append(address)
    pins = {variable: ",".join(addresses) for variable, addresses in shown.items()}
    if "ONEAPI_DEVICE_SELECTOR" in pins:
        pins["ONEAPI_DEVICE_SELECTOR"] = "level_zero:" + pins["ONEAPI_DEVICE_SELECTOR"]
    if "CUDA_VISIBLE_DEVICES" in pins:
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
