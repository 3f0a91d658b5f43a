"""Container limits, read from trees like those of real machines."""

import pytest

from local_swarm.hardware.base import Roots
from local_swarm.hardware.cgroup import MemoryLimit, cpu_quota, memory_limit

GIB = 1 << 30
V1_UNLIMITED = "9223372036854771712"


@pytest.fixture
def tree(tmp_path):
    """Writes a process's cgroup line(s) and files under the two roots."""

    def write(lines, files):
        roots = Roots(proc=tmp_path / "proc", cgroup=tmp_path / "cgroup")
        (roots.proc / "self").mkdir(parents=True)
        (roots.proc / "self" / "cgroup").write_text("\n".join(lines) + "\n")
        for name, text in files.items():
            path = roots.cgroup / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return roots

    return write


def test_a_machine_without_cgroups_has_no_limits(tmp_path):
    roots = Roots(proc=tmp_path / "none", cgroup=tmp_path / "none")
    assert memory_limit(roots) == MemoryLimit(None, None)
    assert cpu_quota(roots) is None


def test_v2_takes_the_smallest_limit_up_the_tree(tree):
    roots = tree(
        ["0::/pod/box"],
        {
            "memory.max": "max",
            "pod/memory.max": 4 * GIB,
            "pod/memory.current": GIB,
            "pod/box/memory.max": 8 * GIB,
            "pod/box/memory.current": GIB,
        },
    )
    assert memory_limit(roots) == MemoryLimit(4 * GIB, 3 * GIB)


def test_v2_in_a_namespace_sees_its_limit_at_the_root(tree):
    assert memory_limit(tree(["0::/"], {"memory.max": GIB})) == MemoryLimit(GIB, None)


def test_v2_counts_page_cache_that_can_be_dropped_as_free(tree):
    roots = tree(
        ["0::/box"],
        {
            "box/memory.max": 4 * GIB,
            "box/memory.current": 3 * GIB,
            "box/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}",
        },
    )
    assert memory_limit(roots).free_bytes == 3 * GIB


def test_a_group_above_its_limit_has_nothing_free(tree):
    roots = tree(["0::/b"], {"b/memory.max": GIB, "b/memory.current": 2 * GIB})
    assert memory_limit(roots).free_bytes == 0


def test_v1_takes_the_smallest_limit_up_the_tree(tree):
    roots = tree(
        ["5:cpu,cpuacct:/a/b", "4:memory:/a/b"],
        {
            "memory/memory.limit_in_bytes": V1_UNLIMITED,
            "memory/a/memory.limit_in_bytes": 2 * GIB,
            "memory/a/memory.usage_in_bytes": GIB,
            "memory/a/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB // 2}",
            "memory/a/b/memory.limit_in_bytes": 3 * GIB,
        },
    )
    assert memory_limit(roots) == MemoryLimit(2 * GIB, 2 * GIB - GIB // 2)


def test_v1_unlimited_is_no_limit(tree):
    roots = tree(["4:memory:/"], {"memory/memory.limit_in_bytes": V1_UNLIMITED})
    assert memory_limit(roots) == MemoryLimit(None, None)


def test_v1_container_whose_own_path_is_not_visible(tree):
    roots = tree(["4:memory:/docker/0123"], {"memory/memory.limit_in_bytes": GIB})
    assert memory_limit(roots).limit_bytes == GIB


def test_hybrid_machines_are_read_through_both(tree):
    roots = tree(
        ["4:memory:/box", "0::/box"],
        {"unified/box/memory.max": 3 * GIB, "memory/box/memory.limit_in_bytes": 2 * GIB},
    )
    assert memory_limit(roots).limit_bytes == 2 * GIB


def test_a_path_outside_the_namespace_means_the_root(tree):
    roots = tree(["0::/../../other"], {"memory.max": GIB, "../secret/memory.max": 5})
    assert memory_limit(roots).limit_bytes == GIB


def test_nonsense_in_the_files_is_no_limit(tree):
    roots = tree(["garbage", "0::/"], {"memory.max": "lots", "cpu.max": "many 0"})
    assert memory_limit(roots) == MemoryLimit(None, None)
    assert cpu_quota(roots) is None


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "400000 100000", "box/cpu.max": "max 100000"}, 4.0),
        ({"cpu.max": "100000 100000", "box/cpu.max": "200000 100000"}, 1.0),
        ({"cpu.max": "100000 0"}, None),
    ],
)
def test_v2_cpu_quota(tree, files, quota):
    assert cpu_quota(tree(["0::/box"], files)) == quota


@pytest.mark.parametrize(("quota", "cpus"), [("-1", None), ("250000", 2.5)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_v1_cpu_quota(tree, mount, quota, cpus):
    files = {f"{mount}/x/cpu.cfs_quota_us": quota, f"{mount}/x/cpu.cfs_period_us": "100000"}
    assert cpu_quota(tree(["3:cpu,cpuacct:/x"], files)) == cpus
