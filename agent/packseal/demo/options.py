"""DemoOptions: what the user asked of the demo."""

from dataclasses import dataclass
from pathlib import Path

LIVE_PROFILE, REPLAY_PROFILE = "packseal/reference96", "bmw/i3_replay"
LIVE_WINDOW_S, REPLAY_WINDOW_S = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`speed` is recorded seconds per second, None as fast as the agent takes them; other None take the default."""

    replay: Path | None = None
    speed: float | None = None
    seconds: float | None = None
    headless: bool = False
    report: Path | None = None
    declared: Path | None = None
    profile: str | None = None
    directory: Path | None = None
    port: int | None = None
    window_s: float | None = None
    uplink: str | None = None

    @property
    def profile_name(self) -> str:
        """The profile whose frames are on the bus."""
        return self.profile or (LIVE_PROFILE if self.replay is None else REPLAY_PROFILE)

    @property
    def window(self) -> float:
        """Seconds per sealed window: short in the live demo, so that something is sealed while one watches."""
        return self.window_s or (LIVE_WINDOW_S if self.replay is None else REPLAY_WINDOW_S)
