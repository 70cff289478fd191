"""Background compaction: a child process folds the updates of the served index into a new generation."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Literal

from service.errors import ServiceError
from service.schemas.compaction import CompactionFacts
from service.settings import Settings

logger = logging.getLogger("mrl.service")
_NICENESS: Final = 10


class Compaction:
    """Runs ``mrl index compact`` in a child process, one at a time.

    The process has a lower priority, because it computes for seconds to minutes, and returns its memory when it ends.

    Attributes:
        facts: about the latest compaction.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.facts = CompactionFacts()

    @property
    def running(self) -> bool:
        """Whether a compaction is running."""
        return self._task is not None and not self._task.done()

    def start(self) -> CompactionFacts:
        """Start a compaction.

        Raises:
            ServiceError: 409, because one is running.
        """
        if self.running:
            raise ServiceError(HTTPStatus.CONFLICT, "busy", "a compaction is already running; wait until it ends")
        self.facts = CompactionFacts(state="running", started=datetime.now(UTC))
        self._task = asyncio.create_task(self._run())
        return self.facts

    async def close(self) -> None:
        """Stop a running compaction; the published generation is not affected."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        settings = self._settings
        command = [sys.executable, "-m", "service", "index", "compact", str(settings.index), "--json"]
        command += ["--device", settings.device, "--keep", str(settings.keep_generations)]
        if settings.model:
            command += ["--model", settings.model]
        try:
            # Without the service's settings, which include the API key.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MRL_")}
            self._process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICENESS)
            out, err = await self._process.communicate()
        except OSError as error:
            self._finish("failed", message=str(error))
            return
        if self._process.returncode:
            lines = err.decode("utf-8", "replace").strip().splitlines()
            self._finish("failed", message=lines[-1] if lines else _describe_exit(self._process.returncode))
            return
        self._finish("done", generation=json.loads(out)["generation"])

    def _finish(
        self, state: Literal["done", "failed"], generation: str | None = None, message: str | None = None
    ) -> None:
        self.facts = self.facts.model_copy(
            update={"state": state, "ended": datetime.now(UTC), "generation": generation, "message": message}
        )
        if state == "failed":
            logger.error("compaction of %s failed: %s", self._settings.index, message)
        else:
            logger.info("compaction of %s published generation %s", self._settings.index, generation)


def _describe_exit(status: int) -> str:
    if status == -signal.SIGKILL:
        return "killed (SIGKILL), usually because memory ran out: give the service more, or compact on another machine"
    return f"exit status {status}"
