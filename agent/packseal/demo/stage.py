"""Stage: starts the broker, the sink, the feeder and the agent, each a process of its own, and ends them in order."""

import shutil
import sys
import time
from types import TracebackType
from typing import Self

from packseal.demo import feeder, places, watch
from packseal.demo.child import Child
from packseal.demo.plan import Plan
from packseal.demo.watch import Glance
from packseal_sink.database import Database
from packseal_sink.store import Store

START_S = 15.0
PATIENCE_S = 10.0
SINK = "import sys; from packseal_sink.cli import main; sys.exit(main())"


class Stage:
    """The running demo; `with` starts it, and leaves no process behind.

    Raises:
        InputError: on entry, when a part does not start; names it and the end of its log.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children: dict[str, Child] = {}
        self.failed = False

    def __enter__(self) -> Self:
        try:
            self.plan.write()
            self._enrol()
            self._start_all()
        except BaseException:
            self.failed = True  # the error names a log
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.failed = self.failed or error is not None
        self._leave()

    def check(self) -> None:
        """Raise InputError when a part has ended by itself."""
        for child in self.children.values():
            child.check()

    def glance(self) -> Glance:
        """Ask every part how it is."""
        where = self.plan.places
        return Glance(time.monotonic(), watch.ask_agent(where.status), watch.read_progress(where.progress))

    def start_agent(self) -> Child:
        """Start the agent, as often as one likes after it has ended."""
        config = str(self.plan.places.config)
        return self._start("agent", [sys.executable, "-m", "packseal", "run", "--config", config])

    def _start_all(self) -> None:
        plan = self.plan
        if plan.broker is not None:
            config = places.write_broker(plan.places, plan.broker_port)
            broker = self._start("broker", [plan.broker, "-c", str(config)])
            places.wait_for_port(plan.broker_port, broker.check, START_S)
        command = [sys.executable, "-c", SINK, "run", "--config", str(plan.places.sink_config)]
        sink = self._start("sink", command)
        places.wait_for_port(plan.page.port, sink.check, START_S)
        self._start("feeder", feeder.command(plan))
        self.start_agent()

    def _start(self, name: str, command: list[str]) -> Child:
        child = Child(f"the {name}", command, self.plan.places[f"{name}.log"])
        self.children[name] = child
        return child

    def _enrol(self) -> None:
        """Tell the sink which gateway it will hear from, once."""
        where = self.plan.places
        database = Database(where.sink_database, write=True)
        try:
            store = Store(database)
            if where.public_key("gateway").kid not in store.gateways():
                pem = where["gateway.pub"].read_bytes()
                store.add_gateway(pem, places.GATEWAY, "demo", time.time_ns() // 1_000_000)
        finally:
            database.close()

    def _leave(self) -> None:
        """End what still runs, the agent first, so that nothing it says is lost; then tidy up."""
        for name in ("agent", "feeder", "sink", "broker"):
            if name in self.children:
                self.children[name].end(PATIENCE_S)
        self.plan.page.holder.close()
        if self.plan.options.directory is None and not self.failed:
            shutil.rmtree(self.plan.places.directory, ignore_errors=True)
