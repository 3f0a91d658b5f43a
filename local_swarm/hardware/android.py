"""Android phones, in Termux: Qualcomm's Adreno graphics where the phone has them.

A phone's graphics work in its RAM and have no size of their own. Plans take a quarter of RAM here
(DESIGN, memory rules), for Android kills what takes more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from local_swarm.domain.hardware import Device
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.tools import Runner, run_tool
from local_swarm.hardware.values import QUALCOMM, known, new_device, read_text

COMMAND = ("getprop",)

# Qualcomm's own product briefs: system on chip -> Adreno.
_ADRENO = {
    "SM8150": 640,
    "SM8250": 650,
    "SM8350": 660,
    "SM8450": 730,
    "SM8475": 730,
    "SM8550": 740,
    "SM8635": 735,
    "SM8650": 750,
    "SM8735": 825,
    "SM8750": 830,
    "SM8850": 840,
}


class AndroidProbe:
    name = "android"

    def __init__(self, run: Runner = run_tool, environ: Mapping[str, str] | None = None) -> None:
        self._run = run
        self._environ = os.environ if environ is None else environ

    def read(self, roots: Roots) -> Findings:
        if not self._is_android(roots):
            return Findings()
        properties = parse_properties(self._run(COMMAND))
        if not properties:
            properties = parse_build(read_text(roots.android / "build.prop"))
        graphics = adreno(properties, read_text(roots.sys / "class/kgsl/kgsl-3d0/gpu_model"))
        return Findings(devices=(graphics,) if graphics else (), os="android")

    def _is_android(self, roots: Roots) -> bool:
        return "TERMUX_VERSION" in self._environ or (roots.android / "build.prop").exists()


def parse_properties(text: str) -> dict[str, str]:
    """`[ro.soc.model]: [SM8650]` lines, as getprop prints them."""
    return dict(re.findall(r"^\[([^\]\n]+)\]: \[([^\n]*)\]\s*$", text, re.MULTILINE))


def parse_build(text: str) -> dict[str, str]:
    """`ro.soc.model=SM8650` lines of /system/build.prop."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def adreno(properties: Mapping[str, str], gpu_model: str) -> Device | None:
    """The phone's Adreno; None where it has none, or does not say so."""
    chip = (known(properties.get("ro.soc.model")) or "").upper()
    drivers = (properties.get(f"ro.hardware.{kind}", "") for kind in ("vulkan", "egl"))
    number = re.match(r"Adreno\D*(\d{3,4})", gpu_model, re.IGNORECASE)
    model = int(number[1]) if number else _ADRENO.get(chip.partition("-")[0])
    if model is None and "adreno" not in drivers:
        return None
    return new_device(
        QUALCOMM,
        name=f"Adreno {model}" if model else None,
        backend="OpenCL",
        integrated=True,
    )
