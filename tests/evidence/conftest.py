"""What tests of verdicts share."""

import pytest


@pytest.fixture
def as_if_calibrated(monkeypatch):
    """Claims as they would be judged if their statistics had passed in calibration."""
    monkeypatch.setattr("companion.evidence.judging.why_no_test", lambda *_: "")
