#!/bin/sh
# Makes cmudict.tsv: sh data/make-cmudict.sh cmudict.raw.tsv > data/cmudict.tsv
#
# In the raw file a line is a word, a tab and a pronunciation, and a second pronunciation is
# a line of its own: "aalborg(2)". A comment may follow after "#". Out comes a line for each
# word, with a tab before each of its pronunciations. Words that are written with anything
# but letters and apostrophes (a.m., air-force) are left out, and counted on stderr.
set -eu
export LC_ALL=C

awk -v raw="${1:?the raw dictionary}" -F '\t' '
    function stop(why) {
        print raw ": line " NR ": " why > "/dev/stderr"
        failed = 1
        exit 1
    }

    function put() {
        if (line != "")
            print line
    }

    NF != 2 { stop("a word, a tab and a pronunciation are wanted") }

    {
        word = $1
        sub(/\([0-9]+\)$/, "", word)
        sound = $2
        sub(/ *#.*$/, "", sound)
        if (sound !~ /^[A-Z]+[012]?( [A-Z]+[012]?)*$/)
            stop("\"" sound "\" is no pronunciation")
    }

    word !~ /^[a-z\047]+$/ { dropped++; next }

    word != last {
        put()
        if (word in seen)
            stop("\"" word "\" has been there before")
        seen[word] = 1
        line = last = word
    }

    { line = line "\t" sound }

    END {
        if (failed)
            exit 1
        put()
        print dropped + 0 " lines with other characters left out" > "/dev/stderr"
    }
' "$1"
