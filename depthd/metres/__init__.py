"""From relative depth to metres: reference points, the fit, and what a camera's lens adds.

Knows arrays and numbers; nothing of files, photos' bytes or the network. `references` and `lens`
need no NumPy, so that the configuration and the supervisor may know them.
"""
