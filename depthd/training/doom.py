"""Frames of the Freedoom levels with their depth, drawn by ViZDoom.

Freedoom (BSD 3-clause) comes inside the `vizdoom` package. The player is put down at random and
looks around; the depth buffer has 8 bits, 255 means "far or sky" and is left out as not measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.training import pairs

LEVELS = (
    *(("freedoom1.wad", f"E{episode}M{level}") for episode in (1, 2, 3) for level in range(1, 9)),
    *(("freedoom2.wad", f"MAP{level:02d}") for level in range(1, 25)),
)


def lighten(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Raise a dark frame, BGR (H, W, 3), to a usual mean brightness by a gamma curve."""
    mean = max(float(photo.mean()) / 255, 0.02)
    gamma = float(np.clip(np.log(0.4) / np.log(mean), 0.35, 1.0))
    return (255 * np.power(photo / 255.0, gamma)).astype(np.uint8)


def frames(per_level: int) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.float32]]]:
    """Names, frames BGR (240, 320, 3), and inverse depth (240, 320), NaN where none."""
    import vizdoom  # noqa: PLC0415 - an extra that only this source needs

    home = Path(vizdoom.__file__).parent
    for number, (wad, level) in enumerate(LEVELS):
        game = vizdoom.DoomGame()
        game.set_doom_game_path(str(home / wad))
        game.set_doom_config_path(os.devnull)  # else it leaves one where it was started
        game.set_doom_map(level)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
        game.set_screen_format(vizdoom.ScreenFormat.BGR24)
        game.set_depth_buffer_enabled(True)
        for hide in ("hud", "weapon", "crosshair", "messages", "particles"):
            getattr(game, f"set_render_{hide}")(False)
        game.set_window_visible(False)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_episode_timeout(0)
        buttons = (
            vizdoom.Button.MOVE_FORWARD_BACKWARD_DELTA,
            vizdoom.Button.MOVE_LEFT_RIGHT_DELTA,
            vizdoom.Button.TURN_LEFT_RIGHT_DELTA,
            vizdoom.Button.LOOK_UP_DOWN_DELTA,
            vizdoom.Button.USE,
        )
        game.set_available_buttons(list(buttons))
        game.set_seed(number)
        game.init()
        game.send_game_command("god")
        game.send_game_command("notarget")
        random = np.random.default_rng(number)
        for k in range(per_level):
            for _ in range(6):
                turn = float(random.normal() * 8)
                game.make_action(
                    [30.0, float(random.normal() * 12), turn, 0.0, float(random.random() < 0.3)], 3
                )
            game.make_action(
                [0.0, 0.0, float(random.uniform(-90, 90)), float(random.normal() * 8), 0.0], 1
            )
            if game.is_episode_finished() or game.is_player_dead():
                game.new_episode()
                game.send_game_command("god")
                continue
            state = game.get_state()
            depth = np.asarray(state.depth_buffer, dtype=np.float32)
            frame = np.ascontiguousarray(state.screen_buffer)
            if frame.mean() < 6 or np.median(depth) < 4:
                continue
            # A step of the buffer is a few map units; one more keeps it finite at the lens.
            inverse = np.where(depth >= 255, np.nan, 1 / (depth + 1)).astype(np.float32)
            yield f"{Path(wad).stem}-{level}-{k:03d}", lighten(frame), inverse
        game.close()


def make(folder: Path, per_level: int) -> None:
    """Write the frames, unless all of them are there."""
    done = folder / f"made-{per_level}"
    folder.mkdir(parents=True, exist_ok=True)
    if not done.exists():
        for name, frame, inverse in frames(per_level):
            small = cv2.resize(frame, (288, 216), interpolation=cv2.INTER_AREA)
            reduced = cv2.resize(inverse, (288, 216), interpolation=cv2.INTER_NEAREST)
            pairs.write(folder / name, small.astype(np.uint8), reduced.astype(np.float32))
        done.touch()
