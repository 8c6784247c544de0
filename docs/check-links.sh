#!/bin/sh
# Checks that every local link in the Markdown files given leads to a file, every anchor to a heading, and that SUMMARY.md has
# every chapter. Usage: docs/check-links.sh [FILE…], by default all Markdown files of the repository.
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # The repository has no file names with spaces.
    set -- $(git ls-files '*.md')
fi

# The anchors that headings of a Markdown file have, as GitHub and mdBook make them.
anchors() {
    sed -n 's/^##* *//p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

bad=0
for file; do
    # Code is no text: leave out what is between fences and backquotes.
    # shellcheck disable=SC2016 # These backquotes are not for the shell.
    links=$(awk '/^ *```/ { code = !code; next } !code' "$file" | sed 's/`[^`]*`//g' |
        grep -o '](\([^)]*\))' | sed 's/^](//; s/)$//' || true)
    for link in $links; do
        case $link in
            http://* | https://* | mailto:*) continue ;;
        esac
        path=${link%%#*}
        target=$file
        [ -z "$path" ] || target=$(dirname "$file")/$path
        if [ ! -e "$target" ]; then
            echo "$file: $link: no such file"
            bad=1
        elif [ "$link" != "$path" ] && ! anchors "$target" | grep -qxF -- "${link#*#}"; then
            echo "$file: $link: no such heading"
            bad=1
        fi
    done
done

for chapter in docs/src/*.md docs/src/*/*.md; do
    name=${chapter#docs/src/}
    if [ "$name" != SUMMARY.md ] && ! grep -qF "($name)" docs/src/SUMMARY.md; then
        echo "$chapter: not in SUMMARY.md"
        bad=1
    fi
done
exit $bad
