"""Daylight, night, lamps."""

from __future__ import annotations

from depthd.training.scenes.stage import Stage, Vector


def warm(stage: Stage) -> Vector:
    """The colour of a lamp, from candle to daylight."""
    tone = stage.between(0, 1)
    return (1.0, 0.7 + 0.3 * tone, 0.4 + 0.6 * tone)


Range = tuple[float, float]


def around(stage: Stage, share: float, panorama: Range, plain: Range) -> None:
    """Light from everywhere: a panorama in some share of the scenes, else one colour.

    Args:
        stage: the scene.
        share: of those with a panorama, where there are any.
        panorama: its strength, least and most.
        plain: the strength of one colour.
    """
    if stage.surroundings and stage.chance(share):
        stage.panorama(stage.pick(*stage.surroundings), stage.between(*panorama))
    else:
        stage.world(warm(stage), stage.between(*plain))


def daylight(stage: Stage) -> None:
    """Sun and sky."""
    stage.sky(stage.between(0.5, 1.2))
    if stage.chance(0.7):
        colour = (1.0, stage.between(0.75, 1), stage.between(0.55, 0.95))
        stage.sun(stage.between(1, 5), stage.between(0.15, 1.4), stage.between(0, 6.3), colour)


def light_outside(stage: Stage) -> bool:
    """Day or night; true at night."""
    kind = stage.pick("day", "day", "day", "day", "night")
    if kind == "night":
        stage.world((0.05, 0.07, 0.15), stage.between(0.2, 1.0))
        if stage.chance(0.5):
            stage.sun(stage.between(0.05, 0.3), 0.8, stage.between(0, 6), (0.6, 0.7, 1))
        return True
    daylight(stage)
    return False
