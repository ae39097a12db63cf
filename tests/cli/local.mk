# The command line: exact messages, exact statuses.
dist_check_SCRIPTS += tests/cli/mistakes.sh tests/cli/plugins.sh tests/cli/run.sh
EXTRA_DIST += tests/cli/lib.sh tests/cli/mistakes.txt
TESTS += tests/cli/mistakes.sh tests/cli/plugins.sh tests/cli/run.sh
