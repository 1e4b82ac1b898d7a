"""A link whose volume is used up is told once, not with every record that comes to wait."""

import logging

import pytest

from packseal.uplink.status import SyncStatus


def test_how_many_records_wait_is_not_told_anew(caplog: pytest.LogCaptureFixture) -> None:
    status = SyncStatus()
    with caplog.at_level(logging.INFO):
        for waiting in (3, 4, 5):
            status.rested(f"{waiting} records wait: today's 5 MB of lte are used up until midnight")
        assert status.state.startswith("5 records wait")
        assert len(caplog.records) == 1
        status.rested("6 records wait: today's 5 MB of wlan are used up until midnight")
        assert len(caplog.records) == 2
        status.answered()
        status.rested("6 records wait: today's 5 MB of wlan are used up until midnight")
    assert len(caplog.records) == 4
