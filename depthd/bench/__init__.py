"""`depthd bench`: what this machine can do, measured on the real daemon and its own code.

Whatever is heavy runs in child processes (`parts`, `upstream`), one for each engine, so that
threads and memory of one do not touch another. It reports and judges nothing.
"""
