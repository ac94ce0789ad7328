"""An archive of photos into depth, on Ray Data; needs the extra `cluster`.

Beside the daemon and without its folders: SOURCE is listed, cut into units of some hundred photos,
and each unit becomes shards (or files) and one part of the index, which is written last. What no
part of the index lists does not count.
"""
