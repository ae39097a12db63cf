# The command line: exact messages, exact statuses.
dist_check_SCRIPTS += tests/cli/plugins.sh
EXTRA_DIST += tests/cli/lib.sh
TESTS += tests/cli/plugins.sh
