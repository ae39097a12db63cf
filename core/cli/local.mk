core_libcore_la_SOURCES += \
	core/cli/bench.c core/cli/bench.h core/cli/bench-apart.c core/cli/bench-count.c \
	core/cli/bench-infer.c core/cli/bench-limits.c core/cli/bench-model.c \
	core/cli/bench-print.c core/cli/bench-train.c \
	core/cli/check.c \
	core/cli/command.h \
	core/cli/convert.c \
	core/cli/describe.c core/cli/describe.h \
	core/cli/display.c core/cli/display.h \
	core/cli/generate.c \
	core/cli/lines.c core/cli/lines.h \
	core/cli/progress.c core/cli/progress.h \
	core/cli/new-plugin.c \
	core/cli/options.c \
	core/cli/plan.c \
	core/cli/plugins.c \
	core/cli/program.c core/cli/program.h \
	core/cli/render.c \
	core/cli/run.c \
	core/cli/runs.c \
	core/cli/score.c \
	core/cli/account.c core/cli/account.h core/cli/account-html.c \
	core/cli/account-plot.c core/cli/account-text.c \
	core/cli/report.c \
	core/cli/show.c core/cli/show.h core/cli/show-data.c \
	core/cli/test-plugin.c \
	core/cli/tokenize.c

dist_man_MANS += core/cli/man/retort.1 core/cli/man/retort-pipeline.5 core/cli/man/retort-plugin.7

# Installed under the name of the program, which is how bash finds it.
EXTRA_DIST += core/cli/completion.bash
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(srcdir)/core/cli/completion.bash '$(DESTDIR)$(bashcompletiondir)/retort'
uninstall-local:
	rm -f '$(DESTDIR)$(bashcompletiondir)/retort'
