"""From notebooks to a book: discover chapters, check parameters, execute, build the pages.

Floor 4. The flow is `discover` -> `stage_jobs` -> `execute` -> `build`; sources are never changed,
everything made lies under `_build/`.
"""

from companion.chapters.crew import Event, Job
from companion.chapters.execution import ChapterError, execute, job, stage_jobs
from companion.chapters.fingerprint import surroundings
from companion.chapters.harvest import harvest
from companion.chapters.pages import BuildError, build, collect
from companion.chapters.parameters import Parameter
from companion.chapters.serve import server
from companion.chapters.source import PROFILES, Book, Chapter, discover, find

__all__ = [
    "PROFILES",
    "Book",
    "BuildError",
    "Chapter",
    "ChapterError",
    "Event",
    "Job",
    "Parameter",
    "build",
    "collect",
    "discover",
    "execute",
    "find",
    "harvest",
    "job",
    "server",
    "stage_jobs",
    "surroundings",
]
