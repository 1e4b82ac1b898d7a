"""Capacity from what a battery does in use: anchors, graded sessions, a filter, and the check of the BMS's claim.

Pure Python, bounded state. docs/state-of-health.md explains the method and its measured accuracy.
"""

from packseal.core.capacity.anchor import Anchor, Grade, Kind, Session
from packseal.core.capacity.claim import Claim, ClaimState
from packseal.core.capacity.estimator import Estimator, EstimatorState
from packseal.core.capacity.limits import Generic, Limits

__all__ = [
    "Anchor",
    "Claim",
    "ClaimState",
    "Estimator",
    "EstimatorState",
    "Generic",
    "Grade",
    "Kind",
    "Limits",
    "Session",
]
