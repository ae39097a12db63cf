core_libcore_la_SOURCES += \
	core/plugin/context.c core/plugin/context.h \
	core/plugin/param.c core/plugin/param-print.c core/plugin/param.h \
	core/plugin/registry.c core/plugin/registry.h \
	core/plugin/vet.c core/plugin/vet.h
