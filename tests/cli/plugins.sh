#!/bin/sh
# plugins.sh - every broken plugin is refused with a sentence that says why; the others load.
. "${srcdir:-.}/tests/cli/lib.sh"

fixtures=$builddir/tests/fixtures/.libs
plugins=$tmp/plugins
mkdir "$plugins"

one() { # put one fixture alone into the folder
	rm -rf "$plugins"
	mkdir "$plugins"
	cp "$fixtures/judge-$1.so" "$plugins/judge-${2:-$1}.so"
}

# Listing ends with judge-* of the tree itself; only the fixture's own line is looked at.
line() {
	"$retort" --plugin-path "$plugins" plugins --kind judge | grep "^judge-$1 " | sed 's/  */ /g'
}

refused() { # fixture, sentence
	one "$1"
	check "$1 is refused with a reason" 0 "judge-$1 refused: TMP/plugins/judge-$1.so $2" line "$1"
}

one sound
check "a sound plugin is listed" 0 "judge-sound A fixture of the tests." line sound

refused symbol "exports no retort_plugin: define it with RT_PLUGIN(), and export it"
refused magic "its retort_plugin is no plugin descriptor: use RT_PLUGIN()"
refused major "built for plugin ABI 9.0, this retort has 1.0: rebuild it with this retort's headers"
refused minor "built for plugin ABI 1.99, this retort has 1.0: install a newer retort, or rebuild it"
refused interface "built for judge interface 77, this retort has 1: install a newer retort, or rebuild it"
refused kind "is of kind 99, this retort knows 1 to 13: install a newer retort"
refused name "calls itself judge-another, its file is called judge-name.so: rename one of them"
refused default "parameter 'x': its default is outside its range"
refused sentence "parameter 'x': its doc must be a sentence with its full stop"
refused twice "parameter 'x': is declared twice"
refused operation "lacks an operation that every judge has: judge"
refused undefined "cannot be loaded: undefined symbol: nobody_defines_this"

one sound
size=$(wc -c < "$plugins/judge-sound.so")
for cut in 0 3 40 100 1000 $((size / 2)) $((size - 1)); do
	head -c "$cut" "$fixtures/judge-sound.so" > "$plugins/judge-sound.so"
	case $cut in
	0) why="is empty: copy or build it again" ;;
	3) why="is not a shared object" ;;
	*) why="is cut short, $cut bytes are not all of it: copy or build it again" ;;
	esac
	check "cut to $cut bytes" 0 "judge-sound refused: TMP/plugins/judge-sound.so $why" line sound
done
echo "no object" > "$plugins/judge-sound.so"
check "a text file" 0 "judge-sound refused: TMP/plugins/judge-sound.so is not a shared object" line sound
rm "$plugins/judge-sound.so"
mkfifo "$plugins/judge-sound.so"
check "a pipe" 0 "judge-sound refused: TMP/plugins/judge-sound.so is not a regular file" line sound
rm "$plugins/judge-sound.so"
ln -s nowhere "$plugins/judge-sound.so"
check "a link to nothing" 0 "judge-sound refused: TMP/plugins/judge-sound.so cannot be looked at: No such file or directory" line sound

one sound
chmod o+w "$plugins/judge-sound.so"
check "a file that anyone can change" 0 "judge-sound refused: TMP/plugins/judge-sound.so can be changed by anyone: chmod o-w TMP/plugins/judge-sound.so" line sound
chmod o-w "$plugins/judge-sound.so"
chmod o+w "$plugins"
check "a folder that anyone can write to" 0 "judge-sound refused: TMP/plugins/judge-sound.so lies in a folder that anyone can write to: chmod o-w TMP/plugins" line sound
chmod o-w "$plugins"
if [ "$(id -u)" != 0 ]; then
	chmod a-r "$plugins/judge-sound.so"
	check "a file that cannot be read" 0 "judge-sound refused: TMP/plugins/judge-sound.so cannot be read: Permission denied; check owner and mode" line sound
fi

one sound
cp "$fixtures/judge-major.so" "$plugins"
cp "$fixtures/judge-magic.so" "$plugins"
check "the others still load" 0 "judge-sound A fixture of the tests." line sound

summary() {
	"$retort" --plugin-path "$plugins" plugins --kind judge | tail -n 1 | sed 's/of [0-9]* refused/of all refused/'
}
check "the refused are counted" 0 "2 of all refused" summary

mkdir "$tmp/second"
cp "$fixtures/judge-sound.so" "$tmp/second"
two() {
	"$retort" --plugin-path "$plugins:$tmp/second" plugins --kind judge | grep -A 1 '^judge-sound' | sed 's/  */ /g'
}
check "the first folder wins, and hides the second" 0 "judge-sound A fixture of the tests.
 (TMP/plugins/judge-sound.so shadows TMP/second/judge-sound.so)" two

env_first() {
	RETORT_PLUGIN_PATH=$tmp/second "$retort" plugins judge-sound | sed -n 3p
}
check "RETORT_PLUGIN_PATH is searched" 0 "TMP/second/judge-sound.so" env_first
mkdir -p "$tmp/data/retort"
mv "$tmp/second" "$tmp/data/retort/plugins"
users() {
	"$retort" plugins judge-sound | sed -n 3p
}
check "the user's folder is searched" 0 "TMP/data/retort/plugins/judge-sound.so" users

check "one plugin in full" 0 "judge-sound 0 (Apache-2.0)
A fixture of the tests.
TMP/plugins/judge-sound.so

parameters:
  x: real, 0.0 to 1.0, default 1.0
      Sound." "$retort" --plugin-path "$plugins" plugins judge-sound
check "one plugin as JSON" 0 '{"kind":"judge","name":"sound","version":"0","license":"Apache-2.0","summary":"A fixture of the tests.","file":"TMP/plugins/judge-sound.so","parameters":[{"name":"x","type":"real","doc":"Sound.","required":false,"default":1.0,"min":0.0,"max":1.0}]}' \
	"$retort" --plugin-path "$plugins" plugins --json judge-sound
check "one plugin as a fragment of a pipeline" 0 '  { use = "sound";
  # Sound.
  # real, 0.0 to 1.0, default 1.0
  x = 1.0;
  }' "$retort" --plugin-path "$plugins" plugins --fragment judge-sound

check "a refused plugin that is asked for" 1 "retort: TMP/plugins/judge-major.so: built for plugin ABI 9.0, this retort has 1.0: rebuild it with this retort's headers" \
	"$retort" --plugin-path "$plugins" plugins judge-major
check "a typo in the name" 2 "retort: there is no judge 'suond'; did you mean 'sound'?" \
	"$retort" --plugin-path "$plugins" plugins judge-suond
check "a typo in the kind" 2 "retort: plugins: there is no kind 'jugde'; did you mean 'judge'?" "$retort" plugins jugde-sound
check "a kind alone" 2 "retort: plugins: 'judge' is no KIND-NAME, like judge-exact; for all of a kind: --kind judge" "$retort" plugins judge
check "a kind with its hyphen" 2 "retort: plugins: 'judge-' lacks the name of a plugin, as in judge-exact; for all of a kind: --kind judge" "$retort" plugins judge-
check "--kind of one plugin" 2 "retort: plugins: --kind is for the list, not for one plugin" "$retort" plugins judge-exact --kind stage
check "--fragment of none" 2 "retort: plugins: --fragment is for one plugin: name it, as judge-exact" "$retort" plugins --fragment
check "--hidden of none" 2 "retort: plugins: --hidden is for one plugin: name it, as judge-exact" "$retort" plugins --hidden
check "--fragment as JSON" 2 "retort: plugins: --fragment goes with neither --json nor --hidden" "$retort" plugins --fragment --json judge-exact
check "a kind that is none" 2 "retort: plugins: there is no kind 'loss'" "$retort" plugins --kind loss
check "a folder that is not there" 2 "retort: --plugin-path: there is no folder TMP/none" \
	"$retort" --plugin-path "$tmp/none" plugins
check "a path for a name" 2 "retort: '../x' is a path, want the name of a judge" "$retort" plugins judge-../x

done_testing
