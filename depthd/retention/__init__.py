"""What has been kept long enough goes: photos with their results, failed photos, rotated logs.

    limits.py    what is asked for, of whom
    survey.py    what there is and since when; memory is bounded, whatever lies there
    selection.py which of it goes, the oldest first
    removal.py   one photo's whole set away, or one log
    passing.py   one pass over all of it
    main.py      a pass in a process of its own, of low priority, for the daemon

With `publish` and `spool` the only room that removes files of users. It never looks into the inbox,
and leaves alone what is at work.
"""
