"""The web page: a process of its own beside the daemon, which knows nothing of it.

server.py       settings to a running server
application.py  which address is whose: the routes
connections.py  how many, and how slow they may be
guard.py        what every request is held against, and what every answer carries
access.py       password and cookies
results.py      what the daemon has published or failed: looked at, never written
index.py        which names there are, the newest first
present.py      the state of things for people
depth.py        depth arrays and their thumbnails, without a decoder
sending.py      files and archives as answers
upload.py       photos into the inbox
cameras.py      reference points
pages.py        the HTML
data.py         what the scripts ask for
events.py       news, as server-sent events
strings.py      every word, in every language

Knows folders, names and bytes; no pixels, no network, nothing of the supervisor.
"""
