"""What hangs together by the folders: queues, places, spool, publisher and their errands."""

from __future__ import annotations

from dataclasses import dataclass

from depthd.config import Config
from depthd.contract.errors import ConfigurationError
from depthd.hooks.hooks import make_queues
from depthd.publish.places import Places
from depthd.publish.publisher import Publisher
from depthd.spool import Spool, make_folders
from depthd.supervisor.errands import Errands
from depthd.system.nesting import nested

# Folders whose change means other parts.
FOLDERS = ("inbox", "work", "outbox", "done", "failed")


@dataclass(frozen=True)
class Parts:
    """The doors of one set of folders."""

    config: Config
    spool: Spool
    errands: Errands

    @classmethod
    def build(cls, config: Config, former: Parts | None = None) -> Parts:
        """Open the folders of a configuration.

        Args:
            config: the settings.
            former: parts that own work/ already; they go on until `Spool.close`.

        Raises:
            DepthdError: it would not work, and why; nothing is left open.
        """
        make_folders(config)
        folders = {name: config.folder(name) for name in (*FOLDERS, "log", "state")}
        if problems := nested(folders):
            raise ConfigurationError("; ".join(problems), "give each folder a place of its own")
        make_queues(config)
        places = Places(*(config.folder(name) for name in ("outbox", "done", "failed")))
        same_work = former and former.config.folder("work") == config.folder("work")
        spool = Spool(config, places, former.spool if former and same_work else None)
        publisher = Publisher(places, config.output.mode, spool.instance)
        return cls(config, spool, Errands(spool, publisher, places))
