core_libcore_la_SOURCES += \
	core/plugin/context.c core/plugin/context.h \
	core/plugin/kind.c core/plugin/kind.h \
	core/plugin/object.c core/plugin/object.h \
	core/plugin/param.c core/plugin/param.h \
	core/plugin/param-print.c \
	core/plugin/param-vet.c \
	core/plugin/path.c core/plugin/path.h \
	core/plugin/registry.c core/plugin/registry.h \
	core/plugin/scan.c \
	core/plugin/vet.c core/plugin/vet.h
