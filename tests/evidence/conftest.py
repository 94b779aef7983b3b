"""What tests of verdicts share."""

import pytest


@pytest.fixture
def as_if_calibrated(monkeypatch):
    """Claims as they would be judged if their statistics had passed in calibration."""
    for module in ("interventions", "probes.geometry", "probes.training_dynamics"):
        monkeypatch.setattr(
            f"companion.evidence.{module}.why_no_test", lambda *_: "", raising=False
        )
