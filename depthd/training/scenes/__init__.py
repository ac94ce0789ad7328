"""Procedural scenes with exact depth, rendered by Blender as a Python module."""
