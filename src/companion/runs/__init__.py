"""Whatever takes long: claim an output, keep what is done, go on from it, say how far it is.

Floor 0. `Output` is one run's result file with its folder of unfinished work beside it; `claimed`
is such a folder alone, `Journal` a file of finished steps in it; `progress` has the one shape of
progress callbacks and the time that is left; `identity` says whether two runs are the same;
`parent` ends a process whose parent is gone; `shards` deals work out to Dask's workers, and `tree`
merges what they send back.
"""

from companion.runs.identity import content_hash, difference
from companion.runs.journal import Journal
from companion.runs.output import Keep, Output, claimed, computed, locked
from companion.runs.parent import end_with_parent
from companion.runs.progress import Every, Pace, Progress, silent

__all__ = [
    "Every",
    "Journal",
    "Keep",
    "Output",
    "Pace",
    "Progress",
    "claimed",
    "computed",
    "content_hash",
    "difference",
    "end_with_parent",
    "locked",
    "silent",
]
