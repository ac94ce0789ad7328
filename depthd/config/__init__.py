"""Configuration: declaration, loading, and the texts made from it."""

from depthd.config.declaration import Config, FolderPolicy, Intake, Model, Output, Worker

__all__ = ["Config", "FolderPolicy", "Intake", "Model", "Output", "Worker"]
