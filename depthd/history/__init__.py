"""What has happened, read from what was left: logs, also rotated ones, manifests, reasons.

For programs beside the daemon, which may run or not. Reads only; memory is bounded.
"""
