core_libcore_la_SOURCES += \
	core/base/cpus.c core/base/cpus.h \
	core/base/dir.c \
	core/base/disk.c core/base/disk.h \
	core/base/error.c \
	core/base/fault.c core/base/fault.h \
	core/base/file.c \
	core/base/hash.c \
	core/base/journal.c \
	core/base/json.c \
	core/base/json-print.c \
	core/base/memory.c \
	core/base/parallel.c core/base/pool.h \
	core/base/random.c \
	core/base/rows.c \
	core/base/suggest.c \
	core/base/text.c \
	core/base/utf8.c
