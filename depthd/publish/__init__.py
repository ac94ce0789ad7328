"""Results into the outbox, and which names are free there, in done/ and in failed/.

places.py     the three folders: names that are taken, names that a file system refuses
reading.py    manifests and notes that lie where others can write
publisher.py  a set of results: opened, synced, linked, found again
"""
