# Generation: many sequences over one cache, sampling, stop strings.
core_libcore_la_SOURCES += \
	core/engine/allow.c core/engine/allow.h \
	core/engine/engine.c core/engine/engine.h \
	core/engine/prompt.c \
	core/engine/sample.c \
	core/engine/slot.c \
	core/engine/stream.c core/engine/stream.h
