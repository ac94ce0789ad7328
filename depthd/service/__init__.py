"""depthd as a service of this box: the files, users and folders that systemd needs.

Knows the templates in systemd/ and this machine's systemd, nothing of photos and settings. What is
to be done is a list of actions; the command line says each and does those that are not right yet.
"""
