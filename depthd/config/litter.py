"""What NAS systems, desktops and photo programs keep beside people's photos.

The default of `intake.litter`. Whatever begins with a dot or a tilde is hidden and passed over
anyway (.recycle, .snapshot, .zfs, .stversions, .@__thumb, ~snapshot), so it is not listed here.
"""

from __future__ import annotations

LITTER = (
    # Synology: thumbnails and extended attributes, waste bin, snapshots
    *("@eaDir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@sharesnap"),
    *("@SynoResource", "*@SynoResource", "*@SynoEAStream", "SYNOPHOTO_THUMB_*", "SYNOFILE_THUMB_*"),
    # QNAP
    *("@Recycle", "@Recently-Snapshot", "@Transcode", "@__thumb", "Network Recycle Bin*"),
    # Buffalo; Samba's recycle under the names that guides and NAS makers give it
    *("trashbox", "Recycle Bin", "RecycleBin"),
    # Samba's shadow_copy2: former versions
    "@GMT-*",
    # Windows: waste bins since FAT, restore points, what chkdsk found
    *("$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information", "FOUND.[0-9][0-9][0-9]"),
    # fsck
    "lost+found",
    # macOS: waste bin and scraps on file servers, resource forks in archives, photo libraries
    *("Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder", "__MACOSX"),
    *("*.photoslibrary", "*.photolibrary", "*.migratedphotolibrary", "*.aplibrary"),
    # Nextcloud and ownCloud: waste bin, former versions, previews
    *("files_trashbin", "files_versions", "appdata_*"),
    # Lightroom, Bridge, Capture One: previews and catalogues
    *("*.lrdata", "*.lrcat-data", "*.lrlibrary", "Adobe Bridge Cache", "*.cocatalog"),
)
