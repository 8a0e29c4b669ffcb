"""Cores are counted on every system."""

import os

from surgvista_jax.cores import available_cores, quota_of_cores


def test_cores_are_counted_where_the_system_knows_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


def test_a_quota_is_read_in_both_versions(tmp_path):
    assert quota_of_cores(tmp_path) is None
    top = tmp_path / "sys/fs/cgroup"
    (top / "cpu").mkdir(parents=True)
    (top / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (top / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert quota_of_cores(tmp_path) is None
    (top / "cpu/cpu.cfs_quota_us").write_text("50000\n")
    assert quota_of_cores(tmp_path) == 0.5
    (top / "cpu.max").write_text("250000 100000\n")
    assert quota_of_cores(tmp_path) == 2.5
    (top / "cpu.max").write_text("max 100000\n")
    (top / "cpu/cpu.cfs_quota_us").unlink()
    assert quota_of_cores(tmp_path) is None
