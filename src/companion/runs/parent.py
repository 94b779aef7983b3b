"""A process that works for another one, and ends when that one is gone."""

from __future__ import annotations

import os
import signal
import threading
import time

SECONDS = 1.0


def end_with_parent(parent: int) -> None:
    """Send this process SIGTERM soon after `parent` has gone, however that ended.

    Parameters
    ----------
    parent : int
        Process number, told by the parent itself: it may be gone before the first look.
    """
    main = threading.main_thread().ident or 0

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        signal.pthread_kill(main, signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
