core_libcore_la_SOURCES += \
	core/cli/check.c \
	core/cli/command.h \
	core/cli/describe.c core/cli/describe.h \
	core/cli/display.c core/cli/display.h \
	core/cli/new-plugin.c \
	core/cli/options.c \
	core/cli/plan.c \
	core/cli/plugins.c \
	core/cli/program.c core/cli/program.h \
	core/cli/run.c \
	core/cli/runs.c \
	core/cli/test-plugin.c
