core_libcore_la_SOURCES += \
	core/base/error.c \
	core/base/fault.c core/base/fault.h \
	core/base/memory.c \
	core/base/parallel.c
