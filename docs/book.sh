#!/bin/sh
# book.sh OUT: turns the texts of the repository into a book, in the folder OUT: a page of
# HTML for each, complete in itself. Run it from the root of the repository.
#
# book.lua says what becomes of links, figures and blocks, book.html what stands around a
# text, book.css how it looks. What is wrong with a text is printed once all pages are made,
# and the status is then 1.
set -eu

style=${0%/*}
out=${1:?say where the book goes: sh docs/book.sh build/book}
formulas=tex_math_dollars

if ! command -v pandoc >/dev/null; then
    echo 'make book needs pandoc: on Debian, apt-get install pandoc' >&2
    exit 1
fi
case $(pandoc --list-extensions=gfm) in
*$formulas*) ;;
*)
    echo 'make book needs pandoc 2.17 or newer: this one reads no formulas' >&2
    exit 1
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export BOOK_TEXT= BOOK_PAGES="$work/pages" BOOK_LISTINGS="$work/listings"

# The texts in the order in which they are read; some may not exist, some come twice.
texts() {
    echo README.md
    echo docs/beforehand.md
    for chapter in chapters/*/; do
        printf '%s\n' "$chapter"README.md "$chapter"*.md
    done
    for name in notation glossary measuring library performance own-text weights teaching contributing; do
        echo "docs/$name.md"
    done
    printf '%s\n' docs/*.md data/README.md tests/fixtures/README.md
}

# For each text that exists: its path, its page and its title, with tabs between.
list_pages() {
    texts | awk '!seen[$0]++ {
        title = $0
        status = getline line < $0
        if (status < 0)
            next
        for (; status > 0; status = getline line < $0)
            if (line ~ /^# /) {
                title = substr(line, 3)
                break
            }
        close($0)
        page = $0
        sub(/^README\.md$/, "index", page)
        sub(/^chapters\//, "", page)
        sub(/(\/README)?\.md$/, "", page)
        gsub(/\//, "-", page)
        printf "%s\t%s.html\t%s\n", $0, page, title
    }'
}

# make_page PATH PAGE: the Markdown on standard input, which came from PATH, as a page.
make_page() {
    BOOK_TEXT=$1
    : >"$work/page"
    pandoc --from=gfm+$formulas+smart+footnotes --to=html5 --wrap=none --mathml \
        --toc --toc-depth=3 --template="$style/book.html" \
        --lua-filter="$style/book.lua" --include-in-header="$work/style" \
        --output="$work/page" 2>"$work/said" || echo 'there is no page' >>"$work/said"
    sed "s|^\[WARNING\] ||; s|^|$1: |" "$work/said" >>"$work/complaints"
    # A formula carries its TeX as a note that no browser shows.
    sed 's|<annotation [^<]*</annotation>||g' "$work/page" >"$out/$2"
}

# The Markdown that shows a file of source.
listing() {
    language=${1##*.}
    [ "$language" != h ] || language=c
    fence='~~~~~~~~~~~~~~~~~~~~~~~~'
    printf '# `%s`\n\n%s %s\n' "$1" "$fence" "$language"
    cat "$1"
    printf '\n%s\n' "$fence"
}

mkdir -p "$out"
rm -f "$out"/*.html
: >"$BOOK_LISTINGS"
{ echo '<style>'; cat "$style/book.css"; echo '</style>'; } >"$work/style"

list_pages >"$BOOK_PAGES"
tab=$(printf '\t')
while IFS=$tab read -r path page title; do
    make_page "$path" "$page" <"$path"
done <"$BOOK_PAGES"
sort -u "$BOOK_LISTINGS" >"$work/linked"
while IFS=$tab read -r path page; do
    listing "$path" | make_page "$path" "$page"
done <"$work/linked"

if [ -s "$work/complaints" ]; then
    cat "$work/complaints" >&2
    exit 1
fi
echo "$out/index.html: the book, $(wc -l <"$BOOK_PAGES" | tr -d ' ') pages"
