"""One bench from beginning to end: what is measured, in which order, interleaved.

Machines are never quite idle, so whatever is compared is measured in turns, round after round,
and the median of the rounds is taken.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from depthd.bench import upstream
from depthd.bench.child import Child
from depthd.bench.machine import Machine
from depthd.bench.measure import Backlog, Bench, Idle, Run
from depthd.bench.photos import LARGE, SMALL, TINY, Kind, make_photos
from depthd.bench.sizes import Sizes
from depthd.config import Config
from depthd.config.declaration import Paths
from depthd.contract.errors import UnavailableError
from depthd.model.prepare import is_prepared, prepare
from depthd.model.weights import Weights, find_weights

Report = Callable[[str], None]
_READ = 12_000_000  # pixels of the files whose reading is measured
_OF_BACKLOG = 5  # times as many photos as in a run


@dataclass(frozen=True)
class Plan:
    """How much is measured: photos in each round of each kind, single photos, files waiting."""

    rounds: int
    small: int
    large: int
    latency: int
    backlog: int
    upstream: bool
    only_sizes: bool = False
    only_reading: bool = False

    @property
    def inferences(self) -> int:
        """How many are measured together."""
        return 7 * self.rounds


@dataclass(frozen=True)
class Served:
    """Rates of one kind of photo at one precision, round by round; photos a second."""

    kind: str
    precision: str
    runs: tuple[Run, ...]
    engine: tuple[float, ...]  # inferences a second, the engine by itself
    upstream: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        return median(run.rate for run in self.runs)

    @property
    def of_engine(self) -> float:
        """Rate as a share of the engine's own."""
        pairs = zip(self.runs, self.engine, strict=True)
        return median(run.rate / engine for run, engine in pairs)

    @property
    def of_upstream(self) -> float | None:
        """Rate as a multiple of upstream's."""
        pairs = zip(self.runs, self.upstream, strict=False)
        ratios = [run.rate / upstream for run, upstream in pairs]
        return median(ratios) if ratios else None


@dataclass(frozen=True)
class EngineSpeed:
    """One inference of one engine, in milliseconds; `why` it cannot serve here.

    `mean` and `most` are its depths' differences from those of the first engine, as shares of each
    photo's range.
    """

    engine: str
    precision: str
    milliseconds: float | None = None
    mean: float | None = None
    most: float | None = None
    why: str = ""


@dataclass
class Results:
    """Everything that was measured; what was not (yet) is empty."""

    machine: Machine
    model: str
    threads: int = 0
    sizes: dict[str, Sizes] = field(default_factory=dict)  # of 12 megapixels, by setting
    engines: tuple[EngineSpeed, ...] = ()
    stages: dict[str, dict[str, float]] = field(default_factory=dict)  # kind: stage: milliseconds
    reading: dict[str, dict[str, float]] = field(default_factory=dict)  # of 12 megapixels, by kind
    served: tuple[Served, ...] = ()
    idle: Idle | None = None
    backlog: Backlog | None = None


class Session:
    """Runs a plan.

    Args:
        config: as users have it; nothing of its folders is written to, and nothing downloaded.
        report: told what is being measured.
    """

    def __init__(self, config: Config, plan: Plan, folder: Path, report: Report) -> None:
        if plan.upstream:
            upstream.check()
        self._plan = plan
        self._folder = folder
        self._report = report
        state = config.folder("state")
        self._weights = find_weights(config.model, state, report=report, online=False)
        if plan.upstream and self._weights.spec.name != "midas_small":
            raise UnavailableError(
                "upstream's network needs the weights of midas_small",
                "run 'depthd model fetch', or give them with --set model.weights=FILE",
            )
        model = config.model.model_copy(
            update={"name": self._weights.spec.name, "weights": _file_of(self._weights)}
        )
        ours = {"root": folder, "paths": Paths(), "model": model}
        self._config = config.model_copy(update=ours)
        if is_prepared(self._weights, state):
            shutil.copytree(state / "models", folder / "state/models")
        prepare(self._weights, folder / "state", report=report)
        self._bench = Bench(self._config, folder, folder / "state/models")
        self._photos: dict[str, list[Path]] = {}
        kinds = (LARGE,) if plan.only_sizes else () if plan.only_reading else (TINY, SMALL, LARGE)
        for kind in kinds:
            report(f"making photos of {kind.name}")
            place = folder / kind.name.split(maxsplit=1)[0]
            place.mkdir()
            self._photos[kind.name] = make_photos(kind, place)

        self.results = Results(Machine.here(), self._weights.spec.name)

    def run(self) -> Iterator[str]:
        """Measure everything into `results`; yields the name of each field that is complete."""
        results = self.results
        if self._plan.only_sizes:
            with self._open("auto", "f32") as child:
                results.sizes = self._weigh(child)
            yield "sizes"
            return
        if self._plan.only_reading:
            results.reading = self._read()
            yield "reading"
            return
        with ExitStack() as stack:
            results.engines, children = self._open_engines(stack)
            f32 = children["f32"]
            results.threads = f32.about["threads"]
            yield "engines"
            results.stages = {kind.name: self._stages(f32, kind) for kind in (SMALL, LARGE)}
            yield "stages"
            results.sizes = self._weigh(f32)
            yield "sizes"
            theirs = self._open_upstream(stack, results.threads) if self._plan.upstream else None
            for kind, count in ((SMALL, self._plan.small), (LARGE, self._plan.large)):
                results.served += self._serve(kind, count, children, theirs)
            yield "served"
        self._report("one photo at a time")
        results.idle = self._bench.idle(self._photos[SMALL.name], self._plan.latency)
        yield "idle"
        if self._plan.backlog:
            self._report(f"a backlog of {self._plan.backlog} files")
            tiny, count = self._photos[TINY.name], _OF_BACKLOG * self._plan.small
            results.backlog = self._bench.backlog(tiny, self._plan.backlog, count)
            yield "backlog"

    # engines ----------------------------------------------------------------------------------

    def _open_engines(self, stack: ExitStack) -> tuple[tuple[EngineSpeed, ...], dict[str, Child]]:
        """Speeds of all engines, and children with OpenVINO by precision; torch's goes at once."""
        speeds = []
        children = {}
        photos = [str(photo) for photo in self._photos[SMALL.name]]
        reference = self._folder / "openvino-f32.npy"
        for engine, precision in (("openvino", "f32"), ("openvino", "bf16"), ("torch", "f32")):
            self._report(f"engine {engine} {precision}")
            try:
                child = self._open(engine, precision)
            except UnavailableError as error:
                if (engine, precision) == ("openvino", "f32"):
                    raise
                speeds.append(EngineSpeed(engine, precision, why=error.message))
                continue
            times = child.ask(photos=photos, inferences=self._plan.inferences)["infer"]
            depths = self._folder / f"{engine}-{precision}.npy"
            child.ask(photos=photos, depths=str(depths))
            differences = _differences(depths, reference)
            speeds.append(
                EngineSpeed(child.about["engine"], precision, median(times), *differences)
            )
            if engine == "torch":
                child.close()
            else:
                children[precision] = stack.enter_context(child)
        return tuple(speeds), children

    def _open(self, engine: str, precision: str) -> Child:
        model = self._config.model.model_copy(update={"engine": engine, "precision": precision})
        config = self._config.model_copy(update={"model": model})
        return Child("depthd.bench.parts", {"config": config.model_dump(mode="json")})

    def _open_upstream(self, stack: ExitStack, threads: int) -> Child:
        self._report("loading upstream's network")
        folder = self._folder / "upstream"
        folder.mkdir()
        setup = {"weights": str(self._weights.path), "folder": str(folder), "threads": threads}
        return stack.enter_context(Child("depthd.bench.upstream", setup))

    def _stages(self, child: Child, kind: Kind) -> dict[str, float]:
        self._report(f"stages of {kind.name}, one photo after the other")
        photos = [str(photo) for photo in self._photos[kind.name]]
        found = child.ask(photos=photos)["stages"]
        return {stage: median(photo[stage] for photo in found) for stage in found[0]}

    def _weigh(self, child: Child) -> dict[str, Sizes]:
        self._report(f"what a photo of {LARGE.name} takes on the disk")
        photos = [str(photo) for photo in self._photos[LARGE.name]]
        return {name: Sizes(**each) for name, each in child.ask(photos=photos, weigh=True).items()}

    def _read(self) -> dict[str, dict[str, float]]:
        """Bytes, and milliseconds to decode and to scale for the network, of all kinds of files."""
        setup = {"config": self._config.model_dump(mode="json")}
        found = {}
        with Child("depthd.bench.pixels", setup) as child:
            for kind in child.about["kinds"]:
                self._report(f"reading {_READ / 1e6:g} megapixels as {kind}")
                found[kind] = child.ask(kind=kind, megapixels=_READ / 1e6)
        return found

    # rounds -----------------------------------------------------------------------------------

    def _serve(
        self, kind: Kind, count: int, children: dict[str, Child], upstream: Child | None
    ) -> tuple[Served, ...]:
        runs: dict[str, list[Run]] = {precision: [] for precision in children}
        engine: dict[str, list[float]] = {precision: [] for precision in children}
        theirs: list[float] = []
        for number in range(self._plan.rounds):
            self._report(f"{kind.name}, round {number + 1} of {self._plan.rounds}")
            if upstream is not None:
                theirs.append(self._rate_of(upstream, kind, max(3, count // 5)))
            for precision, child in children.items():
                engine[precision].append(self._inferences(child, kind))
                runs[precision].append(self._bench.run(self._photos[kind.name], count, precision))
        return tuple(
            Served(kind.name, p, tuple(runs[p]), tuple(engine[p]), tuple(theirs)) for p in children
        )

    def _inferences(self, child: Child, kind: Kind) -> float:
        photo = [str(self._photos[kind.name][0])]
        times: list[float] = child.ask(photos=photo, inferences=self._plan.inferences)["infer"]
        return 1000 / median(times)

    def _rate_of(self, upstream: Child, kind: Kind, count: int) -> float:
        photos = self._photos[kind.name]
        chosen = [str(photos[number % len(photos)]) for number in range(count)]
        return count / float(upstream.ask(photos=chosen)["seconds"])


def _differences(file: Path, reference: Path) -> tuple[float, float]:
    """Mean and largest difference of two files of depths, as shares of each photo's range."""
    depths, exact = np.load(file), np.load(reference)
    ranges = np.ptp(exact, axis=(1, 2), keepdims=True)
    shares = np.abs(depths - exact) / np.maximum(ranges, np.finfo(np.float32).tiny)
    return float(shares.mean()), float(shares.max())


def _file_of(weights: Weights) -> Path | None:
    """The file to configure; the packaged network is known by its name."""
    return None if weights.spec.package_data else weights.path.absolute()


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A temporary folder on the disk that the daemon would use, if that can be written."""
    near = root if root.is_dir() else root.parent
    try:
        folder = Path(tempfile.mkdtemp(prefix="depthd-bench-", dir=near))
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="depthd-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
