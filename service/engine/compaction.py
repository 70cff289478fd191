"""Compaction in the background: a process of its own folds the updates of the served index into a new generation."""

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

from pydantic import BaseModel, Field

from service.errors import ServiceError
from service.settings import Settings

logger = logging.getLogger("mrl.service")
_NICENESS: Final = 10


class CompactionFacts(BaseModel):
    """The newest compaction that this process started."""

    state: Literal["none", "running", "done", "failed"] = "none"
    started: datetime | None = None
    ended: datetime | None = None
    generation: str | None = Field(default=None, description="What it published, where it is done.")
    message: str | None = Field(default=None, description="Why it failed.")


class Compaction:
    """Runs ``mrl index compact`` beside the service, one at a time.

    In a process of its own, at a lower priority: it computes for seconds to minutes, and what it needs of memory goes
    back to the system at its end.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.facts = CompactionFacts()

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._task is not None and not self._task.done()

    def start(self) -> CompactionFacts:
        """Begin one.

        Raises:
            ServiceError: 409 while one is running.
        """
        if self.running:
            raise ServiceError(HTTPStatus.CONFLICT, "busy", "a compaction is running; wait until it has ended")
        self.facts = CompactionFacts(state="running", started=datetime.now(UTC))
        self._task = asyncio.create_task(self._run())
        return self.facts

    async def close(self) -> None:
        """End one that is running; the published generation stays as it is."""
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
            # The service's settings, a key among them, are none of its business.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MRL_")}
            self._process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICENESS)
            out, err = await self._process.communicate()
        except OSError as error:
            self._ended("failed", message=str(error))
            return
        if self._process.returncode:
            lines = err.decode("utf-8", "replace").strip().splitlines()
            self._ended("failed", message=lines[-1] if lines else _exit(self._process.returncode))
            return
        self._ended("done", generation=json.loads(out)["generation"])

    def _ended(
        self, state: Literal["done", "failed"], generation: str | None = None, message: str | None = None
    ) -> None:
        self.facts = self.facts.model_copy(
            update={"state": state, "ended": datetime.now(UTC), "generation": generation, "message": message}
        )
        if state == "failed":
            logger.error("compaction of %s failed: %s", self._settings.index, message)
        else:
            logger.info("compaction of %s published generation %s", self._settings.index, generation)


def _exit(status: int) -> str:
    if status == -signal.SIGKILL:
        return (
            "it was killed (SIGKILL), as systems do when memory runs out: give the service more, or compact elsewhere"
        )
    return f"exit status {status}"
