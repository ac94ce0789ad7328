"""Where a photo is now, why it is there, and what to do next.

Looks into every folder without following links; what this user may not look into is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from depthd.config import Config
from depthd.contract.errors import NoInputError
from depthd.contract.events import Event
from depthd.contract.health import CAUSES, Cause
from depthd.contract.names import SetName, command_for, printable
from depthd.contract.status import Status, read
from depthd.history.story import Story, read_manifest, read_reason, read_skipped
from depthd.history.wanted import logged_name
from depthd.intake.patterns import Names
from depthd.intake.rights import kind_refusal
from depthd.intake.scan import Looker
from depthd.publish.places import Place, safe_forms
from depthd.publish.reading import about_plain
from depthd.spool.jobs import Job, has_original, read_job

_MOST_JOBS = 10_000
_NOTHING = "Nothing is to be done."


@dataclass(frozen=True)
class Present:
    """One place in which the photo is, or may be: what holds there, and what to do."""

    sentence: str
    hint: str
    is_known: bool = True  # that it is there


def now(config: Config, story: Story) -> list[Present]:
    """Every place in which a photo of this name is now, or may be; empty where it is nowhere."""
    status = _status(config)
    found = [*_in_inbox(config, story, status), *_in_work(config, story, status)]
    found += _unseen(config, story.name)
    for name in story.sets:
        found += _in_outbox(config, name)
        found += _in_failed(config, name)
    if not found and story.happened:
        gone = "It is in none of the folders any more: somebody has taken it and its results away."
        found.append(Present(gone, _NOTHING))
    return found


def _status(config: Config) -> Status | None:
    try:
        return read(config.folder("state"))
    except NoInputError:
        return None


def _absence(status: Status | None) -> Present | None:
    """What holds of everything that waits while no daemon serves."""
    if status is None:
        return Present("no daemon has run here", CAUSES[Cause.STOPPED].hint)
    now = datetime.now(UTC)
    absence = status.absence(now)
    return Present(status.outdated(now), CAUSES[Cause(absence)].hint) if absence else None


def _unseen(config: Config, name: str) -> Iterator[Present]:
    """Folders into which this user may not look."""
    for folder in ("inbox", "outbox", "done", "failed"):
        try:
            _look(config.folder(folder), name)
        except OSError as error:
            yield _hidden(f"in {folder}/", config.folder(folder), error)


def _hidden(where: str, folder: Path, error: OSError) -> Present:
    return Present(
        f"Whether it is {where} cannot be told: {folder}: {error.strerror}.",
        "Ask as the daemon's user: sudo -u depthd depthd explain NAME.",
        is_known=False,
    )


# inbox -------------------------------------------------------------------------------------------


def _in_inbox(config: Config, story: Story, status: Status | None) -> Iterator[Present]:
    if {"", ".", ".."} & set(story.name.split("/")):
        return
    with Looker(config.folder("inbox")) as looker:
        about = looker.look(story.name)
    if about is None:
        return
    if (refused := kind_refusal(about)) is not None:
        yield Present(f"It lies in the inbox and is left alone: {refused.value}.", _NOTHING)
        return
    what, hint = _why_it_waits(config, story, status)
    yield Present(f"It lies in the inbox, {about.st_size} bytes: {what}.", hint)


def _why_it_waits(config: Config, story: Story, status: Status | None) -> tuple[str, str]:
    reasons = [*_why_never(config, story.name), *_why_not_now(story, status)]
    return reasons[0]


def _why_never(config: Config, name: str) -> Iterator[tuple[str, str]]:
    """What the settings say against it."""
    options = config.intake
    names = Names.of(options)
    if names.skips_beneath(name):
        why = "its name, or a folder's, is hidden, that of an upload still going on, or excluded"
        yield why, "Rename it when it is whole; see intake.exclude and intake.litter."
    if not names.wants(name):
        why = "its name is not that of a photo that is taken"
        yield why, "Rename it, or add its ending to intake.include."
    if "/" in name and not options.recursive:
        yield "sub-folders are not looked into", "Move it up, or set intake.recursive: true."


def _why_not_now(story: Story, status: Status | None) -> Iterator[tuple[str, str]]:
    """What holds it up."""
    absent, folder = _absence(status), story.name.rpartition("/")[0]
    if absent is not None:
        yield absent.sentence, absent.hint
    if status is None:
        return
    for held in status.held_by_operator:
        if held == "." or f"{folder}/".startswith(f"{held}/"):
            what = "everything" if held == "." else f"{held}/"
            yield f"an operator holds {what}", f"{command_for('release', held)} lets it go on."
    if (reason := status.held_folders.get(printable(folder) or ".")) is not None:
        yield f"results of its folder cannot be written: {reason}", CAUSES[Cause.FOLDER_HELD].hint
    if status.inbox:
        yield f"the inbox cannot be read: {status.inbox}", CAUSES[Cause.NO_INBOX].hint
    if status.state == "paused":
        yield f"the service is paused: {status.why}", CAUSES[Cause.PAUSED].hint
    last = story.last
    if last is not None and last["event"] == Event.ENTRY_IGNORED:
        hint = "Mend what is named; it is looked at again."
        yield f"it is left alone: {last.get('reason')}", hint
    if not status.worker.ready:
        words = status.worker.trouble or status.why or "it is being loaded"
        yield f"no worker serves yet: {words}", CAUSES[Cause.WORKER_DYING].hint
    waiting = f"it waits for its writer, or for its turn; {status.queue.waiting} photos are known"
    yield waiting, f"{_NOTHING} It is taken once it was not written to for intake.settle."


def _lies_in(root: Path, name: str) -> bool:
    with suppress(OSError):  # `_unseen` says so
        return _look(root, name)
    return False


def _look(root: Path, name: str) -> bool:
    """Whether an ordinary file of this name is in a folder.

    Raises:
        OSError: this user cannot tell.
    """
    place = Place(root)
    for form in safe_forms(SetName.of(name)):
        with place.folder(form) as folder:
            if folder is not None and about_plain(form.base, folder) is not None:
                return True
    return False


# work --------------------------------------------------------------------------------------------


def _in_work(config: Config, story: Story, status: Status | None) -> Iterator[Present]:
    work = config.folder("work")
    try:
        entries = [entry.name for entry in islice(os.scandir(work), _MOST_JOBS)]
    except FileNotFoundError:
        return
    except OSError as error:
        yield _hidden("at work", work, error)
        return
    for entry in entries:
        with suppress(OSError):
            if not has_original(work / entry):
                continue
            job = read_job(work / entry)
            if job is not None and logged_name(job.name) == logged_name(story.name):
                yield _of_job(job, config, story, status)


def _of_job(job: Job, config: Config, story: Story, status: Status | None) -> Present:
    where = f"It lies in work/ as {job.id}, started {job.attempts} times"
    absent = _absence(status)
    if absent is not None or status is None:
        words = f"{where}: {absent.sentence if absent else ''}."
        hint = absent.hint if absent else ""
        return Present(words, f"It is safe; the next daemon takes it up. {hint}")
    if job.verdict is not None:
        return Present(f"{where}, and is on its way to failed/: {job.verdict.code}.", _NOTHING)
    reason = _set_aside(job, story, status)
    if reason:
        return Present(
            f"{where}, and is set aside: {reason}.",
            "Mend what is named; it is tried again by itself, at last once an hour.",
        )
    if job.crashes:
        most = config.worker.max_attempts
        words = (
            f"{where}, and is suspected: the worker died or was killed {job.crashes} times with it"
        )
        return Present(
            f"{words}.",
            f"{_NOTHING} It is tried again with the worker for itself, after the others, and fails "
            f"when that has killed the worker {most} times (worker.max_attempts).",
        )
    return Present(f"{where}, and is at work or about to be.", _NOTHING)


def _set_aside(job: Job, story: Story, status: Status) -> str:
    logged = logged_name(job.name)
    for aside in status.aside:
        if aside.name == logged:
            return aside.reason
    folder = job.name.rpartition("/")[0]
    if (reason := status.held_folders.get(printable(folder) or ".")) is not None:
        return reason
    last: Mapping[str, Any] = story.last or {}
    is_aside = last.get("event") == Event.PHOTO_SET_ASIDE and last.get("job") == job.id
    return str(last.get("reason")) if is_aside else ""


# outbox and failed -------------------------------------------------------------------------------


def _in_outbox(config: Config, name: str) -> Iterator[Present]:
    manifest = read_manifest(config, name)
    original = _lies_in(config.folder("done"), name)
    requeue = command_for("requeue", name)
    if manifest is not None:
        files = manifest.get("files")
        listed = [str(each.get("name")) for each in files] if isinstance(files, list) else []
        where = config.folder("outbox") / SetName.of(name).folder
        model = manifest.get("model")
        stand_in = isinstance(model, dict) and model.get("fallback") is True
        words = f"It is done; in {where} are {', '.join(listed)}"
        words += ", made by the built-in network." if stand_in else "."
        again = f"{requeue} makes new results beside these." if original else _NOTHING
        yield Present(words, again)
    elif original and (note := read_skipped(config, name)) is not None:
        words = f"It was skipped for the newer {note.get('newer')}, and has no results."
        yield Present(f"{words} Its original is in done/.", f"{requeue} has it worked on.")
    elif original:
        words = "Its original is in done/, and its results are not in the outbox any more."
        yield Present(words, f"{requeue} makes new ones.")


def _in_failed(config: Config, name: str) -> Iterator[Present]:
    if not _lies_in(config.folder("failed"), name):
        return
    reason = read_reason(config, name)
    again = f"{command_for('retry', name)} tries this same file again."
    if reason is None:
        yield Present("It lies in failed/, without a reason beside it.", again)
        return
    detail = f" ({reason['detail']})" if reason.get("detail") else ""
    words = f"It failed as {reason.get('code')}: {reason.get('message')}{detail}"
    yield Present(words, f"{reason.get('hint')} {again}")
