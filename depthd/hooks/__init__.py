"""Telling others of photos that are done or failed: at least once, and never in a photo's way.

    news.py      what is told
    queue.py     what waits, on the disk
    sender.py    a thread for each kind: one after the other, with backoff and an end
    command.py   to a program
    webhook.py   to a web address, signed
    mqtt.py      to a broker
    hooks.py     all of them together

Each piece of news is on the disk before its photo leaves work/, and leaves the disk when it was
taken. Knows no photos and no supervisor.
"""
