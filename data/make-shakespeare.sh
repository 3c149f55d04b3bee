#!/bin/sh
# Makes shakespeare.txt: sh data/make-shakespeare.sh asyoulik.txt > data/shakespeare.txt
#
# In the raw text a speech is "ORLANDO", a tab and its first line; the lines that follow
# begin with a tab. Directions stand in [brackets], on lines of their own or within a
# speech, and some run over two lines. Out comes "ORLANDO:", the lines, an empty line.
set -eu
export LC_ALL=C

awk -v raw="${1:?the raw text of the play}" '
    # The line without what stands in brackets; a bracket may stay open to a later line.
    function without_directions(line,    kept, at) {
        kept = ""
        while (line != "") {
            at = index(line, inside ? "]" : "[")
            if (!inside)
                kept = kept (at ? substr(line, 1, at - 1) : line)
            if (!at)
                break
            line = substr(line, at + 1)
            inside = !inside
        }
        return kept
    }

    # A label opens a speech; it is printed with the first line that the speech has.
    function say(line) {
        # A tab inside a line is a colon, taken for the end of a label by whoever typed it.
        gsub(/\t/, ": ", line)
        gsub(/ +:/, ":", line)
        if (speaker == "")
            stop("line " NR ": nobody speaks \"" line "\"")
        if (!opened)
            printf "%s%s:\n", (speeches++ ? "\n" : ""), speaker
        opened = 1
        print line
    }

    function stop(why) {
        print raw ": " why > "/dev/stderr"
        failed = 1
        exit 1
    }

    !begun { begun = /^ACT I$/; next } # the persons of the play
    /^ACT / || /^SCENE / { speaker = ""; next }
    /^\tAS YOU LIKE IT$/ || /^\tEPILOGUE$/ || /^\tSONG\.$/ { next }

    # The song continues in chorus after JAQUES has spoken; AMIENS said he would end it.
    /^\tWho doth ambition shun$/ { speaker = "AMIENS"; opened = 0 }

    {
        line = without_directions($0)
        if (line ~ /^[A-Z]/) {
            tab = index(line, "\t")
            if (!tab)
                stop("line " NR ": no tab after the speaker")
            speaker = substr(line, 1, tab - 1)
            opened = 0
            line = substr(line, tab)
        }
        gsub(/^[ \t]+|[ \t]+$/, "", line)
        if (line != "")
            say(line)
    }

    END {
        if (!failed && (!begun || inside))
            stop(begun ? "a direction is never closed" : "there is no line \"ACT I\"")
        exit failed
    }
' "$1"
