"""Work dealt out to many processes or machines by Dask, and put together again.

The only module that knows Dask. An instrument gives a task and what to do with the results; a
worker that dies has its tasks run again by the scheduler, and what has come back is a file of the
run's `Output`, so that a scheduler that dies takes nothing of it along. A task is any function at
the top of a module; its last argument is a `Progress`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from companion.errors import InputError, RunError
from companion.files import read_netcdf
from companion.runs.output import Output
from companion.runs.progress import Every, Progress, silent
from companion.runs.tree import Tree

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client, Future

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_alone = threading.Lock()


@contextlib.contextmanager
def connected(scheduler: str = "local", workers: int | None = None) -> Iterator[Client]:
    """A client of workers on this machine, or of a scheduler that runs already.

    Parameters
    ----------
    scheduler : str
        "local", or an address such as tcp://node7:8786.
    workers : int, optional
        Processes of a local one, which share the cores; by default one a core.

    Raises
    ------
    InputError
        If Dask is not installed, or no scheduler answers at the address.
    """
    try:
        import distributed
    except ImportError:
        raise InputError(
            "shards need Dask: pip install 'depth-companion[dask]' installs it"
        ) from None
    if scheduler != "local":
        try:
            client = distributed.Client(scheduler, timeout=5)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no scheduler answers at {scheduler!r}: start one with `dask scheduler`, and give "
                "the address that it prints, e.g. tcp://node7:8786"
            ) from error
        with client:
            yield client
        return
    cores = os.cpu_count() or 1
    number = workers or cores
    with (
        distributed.LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            env=dict.fromkeys(THREADS, str(max(1, cores // number))),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def held(client: Client, value: Any) -> Any:
    """What tasks are to be given in place of `value`: a name itself, else a copy on the workers.

    The scheduler keeps it with its other tasks, so that a worker that dies does not lose it.
    """
    return value if isinstance(value, str | None) else client.submit(_same, value, pure=False)


def ask(client: Client | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns on some worker (its devices are not ours); here without a client."""
    if client is None:
        return function(*arguments)
    return _result(client.submit(_asked, function, *arguments, pure=False), "a question")


def finished(
    client: Client,
    task: Callable[..., Any],
    jobs: Mapping[str, Sequence[Any]],
    progress: Progress,
    before: int = 0,
) -> Iterator[tuple[str, Any]]:
    """Names and results of ``task(*jobs[name], report)``, in the order in which they end.

    Parameters
    ----------
    client : distributed.Client
    task : callable
        Run once at a time in a worker process, whatever its threads.
    jobs : mapping of str to sequence
        Arguments by name; what `held` has given may be among them.
    progress : companion.runs.Progress
        Told how many jobs are done, in fractions; a task that names its own parts of the work
        has its reports handed on.
    before : int
        Jobs done by an earlier run.

    Raises
    ------
    RunError
        If the scheduler has gone, or a job has ended several workers.
    """
    topic = f"companion-{uuid.uuid4().hex}"
    heard: queue.SimpleQueue = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda event: heard.put(event[1]))
    futures = {
        name: client.submit(_run, task, topic, name, *given, key=f"{topic}-{name}", pure=False)
        for name, given in jobs.items()
    }
    for name, future in futures.items():
        future.add_done_callback(lambda ended, name=name: heard.put((name, ended)))
    try:
        yield from _heard(client, heard, len(futures), progress, before)
    finally:
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic)
            client.cancel(list(futures.values()))


def _heard(
    client: Client, heard: queue.SimpleQueue, left: int, progress: Progress, before: int
) -> Iterator[tuple[str, Any]]:
    """Reports go to `progress`, results to the caller, until none is left."""
    total, parts = before + left, {}
    while left:
        name, said = heard.get()
        if isinstance(said, Mapping):
            done, of, note, part = said["done"], said["total"], said["note"], said["task"]
            if part:
                progress(done, of, note=note, task=part)
                continue
            parts[name] = done / of if of else 0.0
        else:
            left -= 1
            yield name, _result(said, name)
            parts[name], note = 1.0, ""
        progress(before + sum(parts.values()), total, note=note)


def _result(future: Future, name: str) -> Any:
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except KilledWorker as error:
        raise RunError(
            f"{name} ended every worker that it was given to: memory may not suffice, see the "
            "workers' logs; what is finished is kept, go on with --resume"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise RunError(
            "the scheduler is gone: what is finished is kept, go on with --resume"
        ) from error


def _same(value: Any) -> Any:
    return value


def _asked(function: Callable[..., Any], *arguments: Any) -> Any:
    with _alone:
        return function(*arguments)


def _run(task: Callable[..., Any], topic: str, name: str, *given: Any) -> Any:
    """One job, on a worker: models have hooks, so a process does one thing at a time."""
    from distributed import get_worker

    worker, often = get_worker(), Every(1.0, at_once=True)

    def report(done: float, total: float | None, /, note: str = "", task: str = "") -> None:
        if often.due() or done == total:
            said = {"done": done, "total": total, "note": note, "task": task}
            worker.log_event(topic, (name, said))

    return _asked(task, *given, report)


def named(client: Client | None, model: Any) -> Any:
    """The model as it is given, refused where workers would have to be sent one from memory."""
    if client is not None and not isinstance(model, str):
        raise InputError("workers load a model by its name: give that, not one that is in memory")
    return model


def gathered(
    client: Client | None,
    task: Callable[..., Sequence[xr.Dataset]],
    common: Sequence[Any],
    units: Mapping[str, Any],
    shards: int,
    output: Output,
    progress: Progress,
) -> list[xr.Dataset]:
    """The data set of each unit, in their order; each is a part of `output` once it is there.

    Parameters
    ----------
    client : distributed.Client, optional
        Without one the units are done here, one after another.
    task : callable
        ``task(*common, units, report)`` returns a data set for each of a list of units.
    common : sequence
    units : mapping of str to object
        By the names of their parts, which are those of a run in one process.
    shards : int
        Into how many jobs the units are dealt, 0 for one each.
    output : Output
    progress : companion.runs.Progress
    """
    if client is None:
        return list(_in_turn(task, common, units, output, progress))
    found = {name: read_netcdf(part) for name in units if (part := _there(output, name))}
    left = [name for name in units if name not in found]
    shards = min(shards or len(left), len(left))
    dealt = {f"{index}/{shards}": left[index::shards] for index in range(shards)}
    jobs = {job: (*common, [units[name] for name in names]) for job, names in dealt.items()}
    for job, results in finished(client, task, jobs, progress):
        for name, result in zip(dealt[job], results, strict=True):
            found[name] = output.kept(name, lambda result=result: result)
    return [found[name] for name in units]


def _in_turn(
    task: Callable[..., Sequence[xr.Dataset]],
    common: Sequence[Any],
    units: Mapping[str, Any],
    output: Output,
    progress: Progress,
) -> Iterator[xr.Dataset]:
    for number, (name, unit) in enumerate(units.items()):
        progress(number, len(units), note=name.removesuffix(".nc"))
        yield output.kept(name, lambda unit=unit: task(*common, [unit], silent)[0])
    progress(len(units), len(units))


def _there(output: Output, name: str) -> Any:
    part = output.part(name)
    return part if part and part.exists() else None


def reduced(
    client: Client,
    task: Callable[..., xr.Dataset],
    common: Sequence[Any],
    shards: int,
    merge: Callable[[list[xr.Dataset]], xr.Dataset],
    output: Output,
    progress: Progress,
) -> xr.Dataset:
    """The results of all shards merged, ``task(*common, "I/N", report)`` being that of one.

    The same bits for the same number of shards, whoever computes them and in whatever order.

    Parameters
    ----------
    client : distributed.Client
    task, merge : callable
    common : sequence
    shards : int
    output : Output
    progress : companion.runs.Progress
    """
    tree = Tree(shards, merge, output)
    left = tree.missing()
    jobs = {f"{index}/{shards}": (*common, f"{index}/{shards}") for index in left}
    for name, result in finished(client, task, jobs, progress, shards - len(left)):
        tree.add(int(name.partition("/")[0]), result)
    return tree.root()
