# SPDX-License-Identifier: Apache-2.0
"""The bundled machine provider on the machine that runs the tests."""

from __future__ import annotations

from pathlib import Path


def test_automated_plan(plainbox, tmp_path: Path) -> None:
    """The automated plan asks nothing, fails nothing on a sound machine, gives every skip a reason, and reports."""
    report = tmp_path / "report.html"
    plainbox.run("run", "--no-input", "machine-automated", "-o", f"html:{report}")
    jobs = plainbox.jobs()
    assert len(jobs) > 20
    for job_id, job in jobs.items():
        assert job["outcome"] in ("pass", "skipped-resource"), (job_id, job["comments"])
        assert job["outcome"] == "pass" or job["comments"], job_id
    assert jobs["org.plainbox::network/loopback"]["outcome"] == "pass"
    assert any(job_id.startswith("org.plainbox::disk/write-") for job_id in jobs), "no template has made a job"
    assert report.stat().st_size > 10_000
