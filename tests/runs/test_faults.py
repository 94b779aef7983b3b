"""The campaign of faults in short: nothing is lost, and what is said is a sentence."""

import json
import subprocess
import sys

import pytest

from companion.files import checkout


@pytest.mark.slow
def test_nothing_is_lost():
    command = [sys.executable, "benchmarks/faults.py", "--kills", "2", "--commands", "toy"]
    done = subprocess.run(
        [*command, "--json"], cwd=checkout(), capture_output=True, text=True, check=True
    )
    rows = json.loads(done.stdout)["rows"]
    assert len(rows) == 8
    for row in rows:
        assert row["same"] == row["trials"], row
        assert set(row["codes"]) <= {0, 1, 2, -9}, row
        assert "Traceback" not in row["said"], row
