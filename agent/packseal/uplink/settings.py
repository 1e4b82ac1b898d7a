"""SyncSettings: how much is sent at once and how soon silence is noticed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Sizes and times of one Sync."""

    batch_records: int = 500
    batch_bytes: int = 1 << 20  # of raw records
    batch_bytes_min: int = 4 << 10  # what a slow link is cut down to
    in_flight: int = 4
    silence_s: float = 5.0  # nothing comes back although something is under way
    halted_s: float = 60.0  # until a log that the sink refuses is tried again
    pause_min_s: float = 0.25
    pause_max_s: float = 1.0
    busy_max_s: float = 10.0
    present_s: float = 60.0  # while there is a backlog, the newest snapshot goes out this often
    again_s: float = 30.0  # until a better link is tried again while another works, doubled after each failure
    again_max_s: float = 300.0
    rest_s: float = 60.0  # until a link is opened again that may carry nothing but events
