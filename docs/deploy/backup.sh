#!/bin/sh
# Backs up all that Cortez keeps, while it serves: backup.sh FOLDER, which is made and must not be there yet.
# The database comes first, then the files: a file is on disk before its row, so that each one which a row names is there.
# DATABASE_URL, DATABASE_DIRECT_URL and CORTEZ_FILES are as the service has them. Whoever may list the processes of this
# machine sees the address, so keep its password in ~/.pgpass, or use the socket, where that is not only you.
set -eu
umask 077
: "${1:?Name the folder to make}" "${DATABASE_URL:?}" "${CORTEZ_FILES:?}"
mkdir "$1"
case $DATABASE_URL in
sqlite*)
    python3 -c '
import sqlite3, sys
source, target = sys.argv[1:]
sqlite3.connect(f"file:{source}?mode=ro", uri=True).execute("VACUUM INTO ?", [target])
' "${DATABASE_URL#*:///}" "$1/cortez.db"
    ;;
*)
    pg_dump --format=custom --file="$1/cortez.dump" "${DATABASE_DIRECT_URL:-$DATABASE_URL}"
    ;;
esac
tar -C "$CORTEZ_FILES" --exclude=./incoming -cf "$1/files.tar" .
sync "$1"/*
