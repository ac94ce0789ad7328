"""Configuration: declaration, loading, and the texts made from it."""

from depthd.config.declaration import Config, Intake, Model, Output, Worker
from depthd.config.folders import FolderPolicy

__all__ = ["Config", "FolderPolicy", "Intake", "Model", "Output", "Worker"]
