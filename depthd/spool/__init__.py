"""Between inbox and done/failed: claim, count, bring home.

    jobs.py       one job's record in work/
    folders.py    the jobs' folders in work/
    spool.py      the claim, the attempts, what a restart finds
    home.py       originals into done/ and failed/
    ownership.py  the configured folders, and the lock on work/

With `publish` the only rooms that rename or remove files of users.
"""

from depthd.spool.home import NO_PLACE
from depthd.spool.jobs import Job, Verdict, original_path, read_job
from depthd.spool.ownership import make_folders
from depthd.spool.spool import Immovable, Spool, Unreadable, Vanished

__all__ = [
    "NO_PLACE",
    "Immovable",
    "Job",
    "Spool",
    "Unreadable",
    "Vanished",
    "Verdict",
    "make_folders",
    "original_path",
    "read_job",
]
