"""Configuration: declaration, loading, and the texts made from it."""

from depthd.config.declaration import Config, Intake, Model, Output, Worker

__all__ = ["Config", "Intake", "Model", "Output", "Worker"]
