"""The worker: one process that holds the network, and the supervisor's hold on it.

`handle` and `messages` belong to the supervisor and import nothing heavy; `main` and `pipeline`
are imported only inside the worker process.
"""
