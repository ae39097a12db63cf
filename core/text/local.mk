core_libcore_la_SOURCES += core/text/schema.c
