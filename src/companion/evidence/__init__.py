"""What measurements say: the one room that judges.

`claims`: a claim beside its measurements, the verdict that follows, the ledger.
`publish`: a result's fields as names that a chapter's prose can cite.
Rooms for what they speak of: `probes`, `across_models`, `scaling`, `toys`, and `calibration` of
the readings; instruments below measure and do not judge, here numbers become claims and sentences.
"""

from companion.evidence.claims import Claim, Measurement
from companion.evidence.publish import publish

__all__ = ["Claim", "Measurement", "publish"]
