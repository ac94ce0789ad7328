"""The worker: the one process that holds the network. Imported by nobody but itself.

What the supervisor knows of it is `supervisor/worker_process.py`; what the two say to each other
is `channel/messages.py`.
"""
