"""What measurements say: the one room that judges.

`registry`: every claim once; `judging`: the rules that make of measurements a verdict;
`claims`: a claim beside its measurements; `chips`: verdicts as the pages show them.
`publish`: a result's fields as names that a chapter's prose can cite.
Rooms for what they speak of: `probes`, `disturbed`, `across_models`, `scaling`, `toys`, and
`calibration` of the readings; instruments below measure and do not judge.
"""

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, stored
from companion.evidence.publish import publish
from companion.evidence.registry import worded

__all__ = ["Claim", "Measurement", "judge", "publish", "stored", "worded"]
