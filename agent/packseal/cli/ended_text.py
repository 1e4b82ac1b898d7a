"""What a person is told of a log that was ended because the sink has another history of it."""

from packseal.cli.present import utc
from packseal.journal.contradictions import Contradiction

ADVICE = (
    "If an old journal was restored here, nothing is to be done. If another device uses this gateway's key, take it "
    "away, or give it an id and key of its own (packseal init) and enrol them at the sink"
)


def happened(ended: Contradiction) -> str:
    """Return what happened to the log, in one sentence."""
    if ended.is_rollback:
        why = f"the sink signed that it holds record {ended.sequence}, and this log ended at {ended.end - 1}"
    else:
        why = f"the sink signed that it holds another record {ended.sequence}"
    goes_on = f"log {ended.successor.hex()[:8]} goes on" if ended.successor else "a new log is not yet begun"
    return f"ended {utc(ended.noticed_ms)}, {ended.reason}: {why}; {goes_on}"
