"""From a photo's bytes to upright pixels, or to the reason why not.

Knows no network and no disk.
"""
