"""Results into the outbox, and which names are free there, in done/ and in failed/.

places.py     the three folders: names that are taken, names that a file system refuses
reading.py    manifests and notes that lie where others can write
publisher.py  a set of results: opened, synced, linked, found again
manifests.py  what makes a set's manifest once its name is known
sets.py       published sets, read and removed; with or without a daemon
failures.py   failed photos, found; the same
returning.py  photos in done/ and failed/, put back into the inbox; the same
"""
