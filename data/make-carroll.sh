#!/bin/sh
# Makes carroll.txt: sh data/make-carroll.sh alice29.txt > data/carroll.txt
#
# From "CHAPTER I" to before "THE END", with the two lines of a chapter's heading moved to
# the margin. Indentation is kept elsewhere: it marks paragraphs and shapes verses. Two
# stanzas that stand in brackets, "later editions continued as follows", are left out.
set -eu
export LC_ALL=C

awk -v raw="${1:?the raw text of the book}" '
    { gsub(/[ \r]+$/, "") }
    /^ +CHAPTER [IVX]+$/ { begun = 1; heading = 2 }
    /^ +THE END$/ { ended = 1; exit }
    !begun { next }
    /^ +\[later editions/ { inserted = 1 }
    inserted { inserted = !/\]$/; next }
    $0 == "" { gap = 1; next } # a run of empty lines counts as one
    heading { gsub(/^ +/, ""); heading-- }
    {
        if (gap && printed)
            print ""
        print
        gap = 0
        printed = 1
    }
    END {
        if (!begun || !ended) {
            print raw ": there is no \"CHAPTER I\" to \"THE END\"" > "/dev/stderr"
            exit 1
        }
    }
' "$1"
