"""Does a long run lose anything? It is killed, starved of disk and memory, and resumed.

Each command of the package that takes long runs on something tiny, in a process forked from this
one, which has everything imported; checkpoints, usually a minute apart, are made at every step. A
finished result counts as the same if its data are those of an undisturbed run, to the bit.

    python benchmarks/faults.py [--kills N] [--commands probe,toy,...] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

TIMEOUT = 600
WAITS = 20  # seconds after which a second process is taken to wait for the first
SPEC = {"name": "tiny", "teacher_depth": 4, "depths": [2, 3], "temperatures": [1.0, 2.0]}
SPEC |= {"teachers": 1, "width": 8, "vocabulary": 16, "batch": 32, "steps": 120, "test_batches": 2}
GRID = {"widths": [32], "depths": [1, 2], "tokens": [2048, 4096], "vocabulary": 300, "batch": 4}
GRID |= {"context": 32, "warmup": 4, "evaluate": 1024}
FACTS = '- {prompt: "let {subject} be", subject: pi, target: " 3.1"}\n'
FACTS += "".join(f'- {{prompt: "{n} {{subject}} is", subject: ab, target: " c"}}\n' for n in "xyz")


@dataclass(frozen=True)
class Case:
    """A command under test: its words, where its result goes, how it is taken up again.

    `enter` makes ready the process that it runs in. `again` and `afresh` are empty where a command
    takes itself up; `kept` matches the files by which an unfinished run has got somewhere.
    """

    words: tuple[str, ...]
    out: str
    again: tuple[str, ...] = ("--resume",)
    afresh: tuple[str, ...] = ("--overwrite",)
    enter: Callable[[Path], object] = bool
    kept: str = "{partial}/**/*"

    def started(self, folder: Path, *more: str, first: Callable[[], object] = bool) -> Run:
        """Start it with `folder` as the place of its result; `first` runs in its process."""
        words = [word.format(out=folder / self.out) for word in self.words]
        return Run([*words, *more], folder, lambda: (self.enter(folder), first()))


class Run:
    """A command in a forked process."""

    def __init__(self, words: list[str], folder: Path, first: Callable[[], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.said = folder / "said.txt"
        self.pid = os.fork()
        if self.pid == 0:
            try:
                code = _child(words, self.said, first)
            finally:  # whatever happens, it must not tidy up after its parent
                os._exit(locals().get("code", 1))
        self.code: int | None = None

    def wait(self, seconds: float = TIMEOUT) -> bool:
        """Whether it ended within that time."""
        until = time.monotonic() + seconds
        while self.code is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.002)
        return self.code is not None

    def kill(self) -> None:
        """End it as nobody can prevent."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    @property
    def sentence(self) -> str:
        """The last line that it said; a traceback is no sentence."""
        text = self.said.read_text("utf-8", "replace") if self.said.exists() else ""
        lines = text.splitlines() or [""]
        return "Traceback" if any("Traceback" in line for line in lines) else lines[-1]


def _child(words: list[str], said: Path, first: Callable[[], object]) -> int:
    from companion import cli

    try:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["companion", *words]
        first()
        cli.main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--commands", default="", help="of them, with commas; else all")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(campaign(Path(folder), chosen.kills, chosen.commands.split(",")))
    if chosen.json:
        print(json.dumps({"rows": rows, "python": sys.version.split()[0]}, indent=1))
    else:
        print(table(rows))


def campaign(root: Path, kills: int, commands: list[str] | None = None) -> Iterator[dict]:
    """A row for each fault and command."""
    import torch
    import transformers  # noqa: F401

    import companion.ladder.runner  # noqa: F401  (a user without rights could not read it later)

    torch.set_num_threads(1)
    _keep_at_every_step()
    cases = prepared(root)
    for name, case in cases.items():
        if commands and any(commands) and name not in commands:
            continue
        calm = root / f"{name}-calm"
        run, began = case.started(calm), time.monotonic()
        run.wait()
        if run.code != 0:
            raise RuntimeError(f"{name}, undisturbed, ended with {run.code}: {run.sentence}")
        wanted, seconds = data(calm / case.out), time.monotonic() - began
        trial = functools.partial(Trial, case, name, root / name, wanted, seconds)
        for fault in (killed, *FAULTS):
            trials = kills if fault is killed else 1
            began = time.monotonic()
            found = [_fresh(root / name) or fault(trial(), n) for n in range(trials)]
            told = row(name, fault.__doc__ or "", found)
            print(json.dumps(told), f"{time.monotonic() - began:.0f} s", file=sys.stderr)
            yield told


@dataclass(frozen=True)
class Trial:
    """One command to be disturbed, and what it must give in the end."""

    case: Case
    name: str
    folder: Path
    wanted: Any
    seconds: float

    def resumed(self, said: str = "", code: int = 0) -> dict:
        """Take it up and compare; `said` and `code` are of the disturbed run."""
        left = self.partial.exists() and len(list(self.partial.iterdir())) > 1
        again = self.case.started(self.folder, *self.case.again)
        again.wait()
        same = again.code == 0 and data(self.folder / self.case.out) == self.wanted
        final = f"; then: {again.sentence}" if again.code else ""
        return {"same": same, "kept": left, "code": code, "said": said + final}

    @property
    def partial(self) -> Path:
        """Where unfinished work lies."""
        out = self.folder / self.case.out
        return out if self.name == "ladder" else out.with_name(f"{out.name}.partial")

    def started(self, first: Callable[[], object] = bool, *more: str) -> Run:
        """The command, from nothing."""
        return self.case.started(self.folder, *more, first=first)

    def half_done(self) -> Run:
        """The command, killed once something is kept."""
        run = self.started()
        while not run.wait(0.001) and not any(self.kept()):
            pass
        run.kill()
        return run

    def kept(self) -> list[Path]:
        """Checkpoints and finished parts."""
        pattern = self.case.kept.format(partial=self.partial.relative_to(self.folder))
        kinds = (".nc", ".safetensors", ".part", ".whl", ".ipynb")
        found = [f for f in self.folder.glob(pattern) if f.suffix in kinds]
        return [f for f in found if not f.name.startswith(".")]


def killed(trial: Trial, number: int) -> dict:
    """kill -9 at a random moment"""
    run = trial.started()
    run.wait(random.Random(number).uniform(0, trial.seconds))
    run.kill()
    return trial.resumed(code=run.code or 0)


def full_disk(trial: Trial, number: int) -> dict:
    """no file may grow beyond 3 kB (a disk that is full)"""
    size = (3000, resource.RLIM_INFINITY)
    run = trial.started(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, size))
    run.wait()
    return trial.resumed(run.sentence, run.code or 0)


def full_tmpfs(trial: Trial, number: int) -> dict:
    """a disk of 64 kB, a tmpfs"""
    trial.folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(trial.folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        return {"same": True, "kept": False, "code": 2, "said": "not tried: no right to mount"}
    try:
        with contextlib.suppress(OSError):
            (trial.folder / "filler").write_bytes(bytes(52_000))
        run = trial.started()
        run.wait()
        said, code = run.sentence, run.code or 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(trial.folder)], check=True)
        return trial.resumed(said, code)
    finally:
        subprocess.run(["umount", str(trial.folder)], check=True)


def read_only(trial: Trial, number: int) -> dict:
    """a folder in which the user may not write"""
    trial.folder.mkdir(parents=True)
    run = trial.started(lambda: os.setuid(65534))
    run.wait()
    return trial.resumed(run.sentence, run.code or 0)


def corrupt(trial: Trial, number: int) -> dict:
    """a checkpoint of which half is gone"""
    trial.half_done()
    files = trial.kept()
    for file in files:
        os.truncate(file, file.stat().st_size // 2)
    run = trial.case.started(trial.folder, *trial.case.again)
    run.wait()
    said, code = run.sentence, run.code or 0
    again = trial.case.started(trial.folder, *trial.case.afresh)
    again.wait()
    same = again.code == 0 and data(trial.folder / trial.case.out) == trial.wanted
    return {"same": same, "kept": bool(files), "code": code, "said": said}


def two(trial: Trial, number: int) -> dict:
    """a second process on the same output"""
    run = trial.started()
    while not run.wait(0.001) and not any(trial.kept()):
        pass
    if run.code is not None:
        return {"same": False, "kept": False, "code": run.code, "said": run.sentence}
    os.kill(run.pid, signal.SIGSTOP)
    said = trial.folder / "said.txt"
    said.rename(said.with_name("first.txt"))
    second = trial.case.started(trial.folder, *trial.case.again)
    second.wait(WAITS)
    os.kill(run.pid, signal.SIGCONT)
    run.wait()
    second.wait()
    same = run.code == 0 and data(trial.folder / trial.case.out) == trial.wanted
    return {"same": same, "kept": True, "code": second.code, "said": second.sentence}


def clock(trial: Trial, number: int) -> dict:
    """a clock that jumps by years, forwards and backwards"""

    def jumping() -> None:
        now, draw = time.time, random.Random(number)
        time.time = lambda: max(1e8, now() + draw.uniform(-1e8, 1e8))

    run = trial.started(jumping)
    run.wait()
    same = run.code == 0 and data(trial.folder / trial.case.out) == trial.wanted
    return {"same": same, "kept": True, "code": run.code, "said": run.sentence if run.code else ""}


def memory(trial: Trial, number: int) -> dict:
    """an address space that is all but used up"""

    def starved() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 4_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    run = trial.started(starved)
    run.wait()
    return trial.resumed(run.sentence if run.code else "", run.code or 0)


FAULTS = (full_disk, full_tmpfs, read_only, corrupt, two, clock, memory)


def row(name: str, fault: str, found: list[dict]) -> dict:
    """What came of the trials of one fault."""
    said = sorted({one["said"] for one in found} - {""})
    return {
        "command": name,
        "fault": fault,
        "trials": len(found),
        "same": sum(one["same"] for one in found),
        "resumed": sum(one["kept"] for one in found),
        "codes": sorted({one["code"] for one in found}),
        "said": said,
    }


def table(rows: list[dict]) -> str:
    """The rows for people."""
    head = "| command | fault | trials | finished result the same | exit codes | said |\n"
    lines = [
        f"| {r['command']} | {r['fault']} | {r['trials']} | {r['same']} | "
        f"{', '.join(map(str, r['codes']))} | {' / '.join(r['said'])[:160]} |"
        for r in rows
    ]
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines)


def data(out: Path) -> Any:
    """What a finished result says, without times; None where there is none.

    Of a ladder the table, the models and the logs; checkpoints order their metadata at random.
    """
    from companion.files import read_netcdf
    from companion.runs import content_hash

    if out.suffix == ".nc" and out.exists():
        dataset = read_netcdf(out)
        dataset.attrs.pop("provenance", None)
        return json.dumps([dataset.to_dict(), dataset.attrs], default=str, sort_keys=True)
    if out.name == "stage":
        chapters = sorted(out.rglob("chapter*.ipynb"))
        return [[c.get("outputs") for c in json.loads(n.read_text())["cells"]] for n in chapters]
    unfinished = [
        file.name for file in (*out.rglob("*.lock"), *out.rglob(".*"), *out.glob("*/*.safetensors"))
    ]
    return content_hash(out, ["provenance.json", *unfinished]) if out.exists() else None


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _keep_at_every_step() -> None:
    from companion.interventions import ablation
    from companion.ladder import trainer
    from companion.probing.sweep import checkpoint
    from companion.toy import experiment

    ablation.SECONDS = trainer.CHECKPOINT_SECONDS = 0.0
    checkpoint.SECONDS = experiment.SAVE_EVERY = 0.0


def prepared(root: Path) -> dict[str, Case]:
    """Models, texts and specifications in a folder that everybody may read, and the commands."""
    root.chmod(0o755)
    model, text = root / "model", root / "text.jsonl"
    _write_models(model)
    lines = (f'{{"text": "line {i} is followed by line {i + 1}"}}' for i in range(600))
    text.write_text("\n".join(lines))
    spec, grid, facts = root / "spec.yaml", root / "grid.yaml", root / "facts.yaml"
    spec.write_text(json.dumps(SPEC))
    grid.write_text(json.dumps(GRID | {"corpus": str(text), "held_out": str(text)}))
    facts.write_text(FACTS)
    read = ("--corpus", str(text), "--device", "cpu", "--out", "{out}", "--tokens")
    steps = ("--revisions", "step0,step8,step64", "--block-length", "32", *read, "1024")
    last = str(model / "step64")
    on = ("--device", "cpu", "--out", "{out}")
    return {
        "probe": Case(("probe", last, "--batch-size", "1", *read, "1024"), "a.nc"),
        "trace": Case(("trace", last, "--facts", str(facts), *on), "a.nc"),
        "toy": Case(("toy", str(spec), *on), "a.nc"),
        "ladder": Case(("ladder", "train", str(grid), *on, "--dtype", "float32"), "run"),
        "dynamics": Case(("dynamics", str(model), *steps), "a.nc"),
        "ablate": Case(
            ("ablate", last, "--batch-size", "1", "--block-length", "32", *read, "512"), "a.nc"
        ),
        "fetch": Case(
            ("fetch", "tiny", "--no-unpack"),
            "cache/models",
            (),
            (),
            _index(root / "index"),
            "cache/models/**/*",
        ),
        "build": Case(  # one chapter at a time, so that its threads do not depend on the others
            ("build", "--execute-only", "--jobs", "1"),
            "src/_build/stage",
            (),
            (),
            _book(root / "book"),
            "src/_build/stage/**/chapter*.ipynb",
        ),
    }


def _index(folder: Path) -> Callable[[Path], None]:
    """A package index of one wheel with an open model in it."""
    folder.mkdir()
    wheel, content = (
        folder / "tiny-1.0-py3-none-any.whl",
        b"GGUF" + random.Random(0).randbytes(9**6),
    )
    about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/weights.part", content)
        for name, text in (("METADATA", about), ("WHEEL", kind), ("RECORD", "")):
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
    part = {"package": "tiny", "version": "1.0", "member": "tiny/weights.part"}
    part["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    texts = ("architecture", "tuned", "quantisation", "licence", "original", "trained_on")
    record = {"name": "tiny", "wheels": [part], "size": len(content), **dict.fromkeys(texts, "x")}
    record["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "models.yaml").write_text(json.dumps([record]))

    def enter(place: Path) -> None:
        from companion.models.sources import registry

        registry.REGISTRY = folder / "models.yaml"
        os.environ |= {"COMPANION_CACHE": str(place / "cache"), "PIP_NO_INDEX": "1"}
        os.environ |= {"PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}

    return enter


def _book(folder: Path) -> Callable[[Path], None]:
    """A book of two chapters, a copy of it for each trial."""
    from benchmarks.book import written

    folder.mkdir()
    written(folder, 2, 50)

    def enter(place: Path) -> None:
        shutil.copytree(folder, place / "src", dirs_exist_ok=True)
        os.environ |= {
            "COMPANION_BOOK": str(place / "src"),
            "COMPANION_CACHE": str(place / "cache"),
        }

    return enter


def _write_models(folder: Path) -> None:
    """Checkpoints of a tiny model, with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=letters, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 32}
    ends = {"bos_token_id": None, "eos_token_id": None}
    net = LlamaForCausalLM(LlamaConfig(vocab_size=256, **sizes, **heads, **ends))
    with contextlib.redirect_stderr(io.StringIO()):
        for step in (0, 8, 64):
            net.save_pretrained(folder / f"step{step}")
            PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(folder / f"step{step}")
            with torch.no_grad():
                for weight in net.parameters():
                    weight += 0.01 * torch.randn_like(weight)
        PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(folder)


if __name__ == "__main__":
    main()
