#!/bin/sh
# Makes milton.txt: sh data/make-milton.sh plrabn12.txt > data/milton.txt
#
# From "Book I" to before "[The End]": neither the preamble of the electronic edition nor
# its title. Two spaces before a line begin a paragraph of verse; they are kept, a single
# one is not. The text was on punched cards once: the marks that are left of them go too.
set -eu
export LC_ALL=C

awk -v raw="${1:?the raw text of the poem}" '
    { gsub(/[ \r]+$/, "") }
    /^Book I$/ { begun = 1 }
    /^\[The End\]/ { ended = 1; exit }
    !begun { next }
    /^ +[0-9]+$/ { gap = 0; next } # the number of a card, and the empty line before it
    /\$/ {
        gsub(/ \$ /, " ")
        gsub(/\$ \047/, "\047")
        gsub(/^\$TH/, "Th")
        gsub(/\$/, "")
    }
    { gsub(/ +\*\*\*$/, "") }
    { gsub(/^ ;t even,/, "At even,") }
    /^ [^ ]/ { $0 = substr($0, 2) }
    $0 == "" { gap = 1; next } # a run of empty lines counts as one
    {
        if (gap && printed)
            print ""
        print
        gap = 0
        printed = 1
    }
    END {
        if (!begun || !ended) {
            print raw ": there is no \"Book I\" to \"[The End]\"" > "/dev/stderr"
            exit 1
        }
    }
' "$1"
