# Runs that are interrupted.  check-kill is the long form: 200 kills, more of each stage of the
# example, and every allocation fails.
dist_check_SCRIPTS += tests/e2e/banking.sh tests/e2e/example.sh tests/e2e/faults.sh tests/e2e/kill.sh tests/e2e/kill-stages.sh tests/e2e/teachers.sh tests/e2e/training.sh
EXTRA_DIST += tests/e2e/lib.sh
TESTS += tests/e2e/banking.sh tests/e2e/example.sh tests/e2e/faults.sh tests/e2e/kill.sh tests/e2e/kill-stages.sh tests/e2e/teachers.sh tests/e2e/training.sh

check-kill: all $(check_LTLIBRARIES)
	srcdir=$(srcdir) KILLS=200 $(SHELL) $(srcdir)/tests/e2e/kill.sh
	srcdir=$(srcdir) MORE=25 $(SHELL) $(srcdir)/tests/e2e/kill-stages.sh
	srcdir=$(srcdir) STEP=1 $(SHELL) $(srcdir)/tests/e2e/faults.sh
.PHONY: check-kill
