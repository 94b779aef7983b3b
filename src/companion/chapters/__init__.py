"""From notebooks to a book: discover chapters, check parameters, execute, build the pages.

Floor 5. The flow is `discover` -> `stage_jobs` -> `execute` -> `build`; sources are never changed,
everything made lies under `_build/`.
"""

from companion.chapters.execution import (
    ChapterError,
    Execution,
    ParallelExecution,
    execute,
    job,
    stage_jobs,
)
from companion.chapters.executor import Job
from companion.chapters.fingerprint import environment_hash
from companion.chapters.pages import BuildError, build
from companion.chapters.parameters import Parameter
from companion.chapters.results import collect_results, record_results
from companion.chapters.serve import server
from companion.chapters.source import PROFILES, Book, Chapter, discover, find

__all__ = [
    "PROFILES",
    "Book",
    "BuildError",
    "Chapter",
    "ChapterError",
    "Execution",
    "Job",
    "ParallelExecution",
    "Parameter",
    "build",
    "collect_results",
    "discover",
    "environment_hash",
    "execute",
    "find",
    "job",
    "record_results",
    "server",
    "stage_jobs",
]
