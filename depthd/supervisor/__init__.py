"""The daemon's own process: one loop, the jobs, the hold on the worker, the logs.

Imports nothing heavy: no torch, numpy, OpenCV or OpenVINO.
"""
