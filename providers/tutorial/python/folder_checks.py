"""Checks of folders, called by function jobs."""

import os

from plainbox.tasks.reporting import SkipJob, measure, subtest


def entries(folders, most):
    """Each folder has something in it, and no folder has more than so many entries."""
    if not folders:
        raise SkipJob("no folder is named")
    for folder in folders:
        count = len(os.listdir(folder))
        subtest(folder, "pass" if count else "fail", f"it has {count} entries")
        measure(f"entries of {folder}", count, upper=most)
