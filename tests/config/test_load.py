"""Where values come from, which wins, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthd.config import Config
from depthd.config.load import OTHER_VARIABLES, keys, load, load_for_service
from depthd.config.text import MAX_BYTES
from depthd.contract.errors import ConfigurationError, UsageError
from depthd.model.weights import MIRROR_VARIABLE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "depthd.yaml"


def problems(text: str | bytes, file: Path, *settings: str) -> list[str]:
    """What is wrong with a file, one problem a line."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load(file, {}, settings, None)
    assert caught.value.exit_code == 78
    first, *lines = caught.value.message.splitlines()
    assert first.startswith(f"{len(lines)} problem")
    return [line.strip() for line in lines]


def test_nothing_given_is_the_defaults() -> None:
    loaded = load(None, {"PATH": "/bin"}, [], None)
    assert loaded.config == Config()
    assert set(loaded.sources.values()) == {"default"}


@given(st.lists(st.sampled_from(["file", "environment", "--set"]), unique=True))
def test_the_strongest_of_those_given_wins(given_by: list[str]) -> None:
    sizes = {"default": 256, "file": 64, "environment": 96, "--set": 128}
    environment = {"DEPTHD_MODEL__INPUT_SIZE": "96"} if "environment" in given_by else {}
    settings = ["model.input_size=128"] if "--set" in given_by else []
    descriptor, path = os.pipe()
    try:
        os.write(path, b"model:\n  input_size: 64\n" if "file" in given_by else b"")
        os.close(path)
        loaded = load(Path(f"/dev/fd/{descriptor}"), environment, settings, None)
    finally:
        os.close(descriptor)
    strongest = max(["default", *given_by], key=list(sizes).index)
    assert loaded.config.model.input_size == sizes[strongest]
    source = loaded.sources["model.input_size"]
    assert source.startswith(strongest.replace("file", "/dev/fd"))


def test_root_beats_everything(file: Path) -> None:
    file.write_text("root: /a")
    loaded = load(file, {"DEPTHD_ROOT": "/b"}, ["root=/c"], Path("/d"))
    assert loaded.config.root == Path("/d")
    assert loaded.sources["root"] == "--root"


def test_every_key_can_be_set_by_the_environment() -> None:
    values = Config().model_dump(mode="json")
    for key in keys():
        section, _, name = key.rpartition(".")
        value = values[section][name] if section else values[name]
        text = "" if value is None else str(value).replace("'", '"')
        variable = f"DEPTHD_{key.replace('.', '__').upper()}"
        loaded = load(None, {variable: text}, [], None)
        assert loaded.config == Config()
        assert loaded.sources[key] == f"environment {variable}"


def test_lists_and_empty_values_on_the_command_line() -> None:
    settings = ["output.formats=[npy, pfm]", 'intake.include=["*.JPG"]', "paths.inbox=", "root=/r"]
    config = load(None, {"DEPTHD_PATHS__INBOX": "/elsewhere"}, settings, None).config
    assert config.output.formats == ("npy", "pfm")
    assert config.intake.include == ("*.JPG",)
    assert config.folder("inbox") == Path("/r/inbox")


def test_scalars_mean_the_same_in_file_and_environment(file: Path) -> None:
    file.write_text(
        "model:\n  fallback: none\n  threads: 010\noutput:\n  mode: 640\n  range: [0, 1e3]\n"
        "intake:\n  recursive: no\n"
    )
    config = load(file, {}, [], None).config
    assert (config.model.fallback, config.model.threads) == ("none", 10)
    assert (config.output.mode, config.output.range) == (0o640, (0.0, 1000.0))
    assert config.intake.recursive is False


def test_a_section_with_all_keys_commented_out_is_no_error(file: Path) -> None:
    file.write_text("worker:\n#  timeout: 1s\nmodel: ~\n")
    assert load(file, {}, [], None).config == Config()


def test_ten_problems_are_told_at_once_with_their_places(file: Path) -> None:
    found = problems(
        "engine: torch\n"
        "model:\n"
        "  engine: onnx\n"
        "  input_size: 100\n"
        "  engine: torch\n"
        "intake:\n"
        "  settle: 2\n"
        "  include: '*.jpg'\n"
        "worker: fast\n"
        "output:\n"
        "  formats: []\n"
        "  size: 3\n"
        "  range: [a, b]\n",
        file,
        "log.level=loud",
    )
    assert len(found) == 11
    for expected in (
        f"{file} line 5: model.engine is given twice, first on line 3",
        f"{file} line 9: worker holds no keys; write 'key: value' lines",
        f"engine: is not a known key; did you mean model.engine? ({file} line 1)",
        f"model.engine: 'onnx' should be 'auto', 'openvino' or 'torch' ({file} line 3)",
        f"model.input_size: '100' should be a multiple of 32 ({file} line 4)",
        f"intake.include: '*.jpg' should be a list, such as [a, b] ({file} line 8)",
        f"output.formats: [] needs at least one value ({file} line 11)",
        "log.level: 'loud' should be 'debug', 'info', 'warning' or 'error' (--set log.level)",
    ):
        assert expected in found
    for key, words in (("intake.settle", "units"), ("output.size", "longest side")):
        assert any(line.startswith(f"{key}: ") and words in line for line in found)
    (ranges,) = (line for line in found if line.startswith("output.range: "))
    assert "'percentile' or 'rolling', or should be a number" in ranges


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("model.enigne", "did you mean model.engine?"),
        ("size", "did you mean output.size?"),
        ("wroker.timeout", "did you mean worker.timeout?"),
        ("lgo", "did you mean log?"),
        ("xyzzy", "is not a known key"),
        ("model", "is a section; its keys are model.name,"),
    ],
)
def test_unknown_keys_name_the_nearest_known_one(key: str, suggestion: str) -> None:
    for environment, settings in (
        ({}, [f"{key}=1"]),
        ({f"DEPTHD_{key.replace('.', '__').upper()}": "1"}, []),
    ):
        with pytest.raises(ConfigurationError, match="1 problem") as caught:
            load(None, environment, settings, None)
        assert f"{key}: " in caught.value.message
        assert suggestion in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model:\n\tengine: torch\n", "line 2: a tab; YAML is indented with spaces"),
        ("- a\n- b\n", "line 1: the file holds no keys"),
        ("just words\n", "line 1: the file holds no keys"),
        ("a: [1\n", "line 2: "),
        ("root: /a\n---\nroot: /b\n", "line 2: but found another document"),
        (b"root: /a\nlog: \xff\n", "line 2: is not UTF-8 text"),
        ("root: \x07\n", ": is not YAML"),
        ("paths: {inbox: &a [*a]}\n", "line 1: paths.inbox uses anchors and aliases"),
        ("#" * (MAX_BYTES + 1), ": is larger than 1 MB, so it is no configuration"),
        ("[" * 100_000, ": is not YAML"),
        ("? [a]\n: 1\n", "?: is not a known key"),
    ],
)
def test_files_that_are_no_configuration(text: str | bytes, expected: str, file: Path) -> None:
    (problem,) = problems(text, file)
    assert expected in problem


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=f"{path}: cannot be read: {reason}"):
            load(path, {}, [], None)


def test_a_set_without_a_value_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="has no '='"):
        load(None, {}, ["model.engine"], None)


def test_brackets_that_are_no_list() -> None:
    with pytest.raises(ConfigurationError, match="quote patterns"):
        load(None, {}, ["intake.include=[*.jpg]"], None)


def test_folders_inside_each_other_name_both_and_their_origins() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"DEPTHD_PATHS__OUTBOX": "/r/inbox/out"}, [], Path("/r"))
    message = caught.value.message
    assert "paths.outbox (/r/inbox/out) lies inside paths.inbox (/r/inbox)" in message
    assert "paths.outbox from environment DEPTHD_PATHS__OUTBOX" in message


def test_names_that_are_not_utf8_can_be_a_root() -> None:
    root = Path(os.fsdecode(b"/r\xff"))
    assert load(None, {}, [], root).config.folder("inbox") == root / "inbox"


@pytest.mark.parametrize("root", [os.fsdecode(b"/r\xff"), "/r\ud800"])
def test_the_daemons_paths_are_utf8(root: str) -> None:
    with pytest.raises(
        ConfigurationError, match="is not UTF-8, as the daemon's paths must"
    ) as told:
        load_for_service(None, {}, [], Path(root))
    assert told.value.message.encode()


def test_variables_of_other_rooms_are_known() -> None:
    assert MIRROR_VARIABLE in OTHER_VARIABLES
    load(None, dict.fromkeys(OTHER_VARIABLES, "1"), [], None)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "output.formats=[npy, heatmap, npy]",
            "output.formats: ['npy', 'heatmap', 'npy'] names npy",
        ),
        ("output.range=[0, .inf]", "output.range: "),
        ("output.range=[0, inf]", "output.range: ['0', 'inf'] needs two finite values"),
        ("output.range=[nan, 1]", "output.range: ['nan', '1'] needs two finite values"),
        (
            "output.range=[5, 1]",
            "output.range: ['5', '1'] needs two finite values, the smaller one",
        ),
        ("intake.include=[]", "intake.include: [] needs at least one value"),
        (
            "worker.timeout=99999999999d",
            "worker.timeout: '99999999999d' should be at most 100 years",
        ),
        (f"intake.settle={'9' * 400}s", "intake.settle: "),
        (f"disk.min_free={'9' * 400}GB", "disk.min_free: "),
        ("worker.max_memory=10000000000GB", "worker.max_memory: "),
        (f"worker.max_pixels={10**30}", "worker.max_pixels: "),
        ("worker.stop_timeout=2m", "worker.stop_timeout: 2m is longer than worker.timeout (1m)"),
        ("root=", "root: is empty; should be a path (--set root)"),
        ("worker.timeout=", "worker.timeout: is empty; needs a number with one of the units"),
        ("root=~nobody-of-that-name/x", "root: '~nobody-of-that-name/x' begins with the home"),
    ],
)
def test_what_can_never_work_is_found_when_it_is_read(setting: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match="1 problem") as caught:
        load(None, {}, [setting], None)
    assert words in caught.value.message
    assert f"(--set {setting.partition('=')[0]})" in caught.value.message


def test_a_short_timeout_does_not_contradict_a_default() -> None:
    assert load(None, {}, ["worker.timeout=5s"], None).config.worker.stop_timeout == 20


def test_an_empty_variable_is_told_with_its_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"DEPTHD_ROOT": ""}, [], None)
    assert "root: is empty; should be a path (environment DEPTHD_ROOT)" in caught.value.message


def test_a_path_with_a_zero_byte_is_none(file: Path) -> None:
    (problem,) = problems('root: "/a\\0b"\n', file)
    assert problem.startswith("root: ")
    assert problem.endswith(f"is no path ({file} line 1)")


def test_paths_begin_at_the_file_or_where_one_stands(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", "/home/ann")
    file.write_text("root: data\npaths: {inbox: ~/in, outbox: out}\nmodel: {weights: w.pt}\n")
    relative = Path("..") / file.name
    for written in (file, relative):
        config = load(written, {"DEPTHD_PATHS__DONE": "done"}, ["paths.failed=~/f"], None).config
        assert config.root.resolve() == tmp_path / "data"
        assert config.folder("inbox") == Path("/home/ann/in")
        assert config.folder("outbox").resolve() == tmp_path / "out"
        assert config.folder("done") == here / "done"
        assert config.folder("failed") == Path("/home/ann/f")
        assert config.folder("work").resolve() == tmp_path / "data/work"
        assert config.model.weights is not None
        assert config.model.weights.resolve() == tmp_path / "w.pt"
    assert load(None, {}, [], Path("~/r")).config.root == Path("/home/ann/r")
    assert load(None, {}, [], Path("r")).config.root == here / "r"


def test_a_relative_path_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigurationError, match="the working directory is gone"):
        load(None, {}, ["root=x"], None)
    assert load(None, {}, [], Path("/x")).config.root == Path("/x")


@pytest.mark.parametrize(
    ("inbox", "outbox", "words"),
    [
        ("real", "link", "paths.inbox ({real}) and paths.outbox ({link}) are the same folder"),
        ("real", "link/out", "paths.outbox ({link}/out) lies inside paths.inbox ({real})"),
        ("link", "real/a/b", "paths.outbox ({real}/a/b) lies inside paths.inbox ({link})"),
        ("link/a", "real/a/b", "paths.outbox ({real}/a/b) lies inside paths.inbox"),
        ("link/new", "real/newer", ""),
        ("real/a", "link/b", ""),
    ],
)
def test_folders_that_are_one_in_fact(inbox: str, outbox: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    settings = [f"paths.inbox={tmp_path / inbox}", f"paths.outbox={tmp_path / outbox}"]
    load(None, {}, settings, tmp_path / "root")  # status and others need not look
    if not words:
        load_for_service(None, {}, settings, tmp_path / "root")
        return
    with pytest.raises(ConfigurationError, match="1 problem") as caught:
        load_for_service(None, {}, settings, tmp_path / "root")
    message = caught.value.message
    assert words.format(real=tmp_path / "real", link=tmp_path / "link") in message
    assert "paths.inbox from --set paths.inbox, paths.outbox from --set" in message


def test_a_stop_that_the_service_manager_would_not_wait_for(tmp_path: Path) -> None:
    environment = {"WATCHDOG_USEC": "30000000"}
    with pytest.raises(ConfigurationError, match=r"stop_timeout: 20s is more than half .*=30s"):
        load_for_service(None, environment, [], tmp_path)
    load_for_service(None, {"WATCHDOG_USEC": "40000000"}, [], tmp_path)


def test_a_folder_that_cannot_be_looked_at_is_left_to_the_checks(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)
    assert load_for_service(None, {}, [], root).config.root == root


def test_a_path_that_is_wrong_is_shown_as_text(file: Path) -> None:
    (problem,) = problems("metrics: {textfile: /figures}\n", file)
    assert problem.startswith("metrics.textfile: '/figures' needs a name that ends in .prom")
