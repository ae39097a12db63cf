core_libcore_la_SOURCES += \
	core/plugin/component.c core/plugin/component.h \
	core/plugin/conform.c core/plugin/conform.h \
	core/plugin/context.c core/plugin/context.h \
	core/plugin/kind.c core/plugin/kind.h \
	core/plugin/object.c core/plugin/object.h \
	core/plugin/param.c core/plugin/param.h \
	core/plugin/param-print.c \
	core/plugin/param-vet.c \
	core/plugin/path.c core/plugin/path.h \
	core/plugin/registry.c core/plugin/registry.h \
	core/plugin/scan.c \
	core/plugin/specimen.c core/plugin/specimen.h \
	core/plugin/trial.c core/plugin/trial.h \
	core/plugin/trial-answer.c \
	core/plugin/trial-disk.c \
	core/plugin/trial-loss.c \
	core/plugin/trial-weights.c \
	core/plugin/vet.c core/plugin/vet.h
