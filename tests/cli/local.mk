# The command line: exact messages, exact statuses.
dist_check_SCRIPTS += tests/cli/new-plugin.sh tests/cli/plugins.sh
EXTRA_DIST += tests/cli/lib.sh
TESTS += tests/cli/new-plugin.sh tests/cli/plugins.sh
