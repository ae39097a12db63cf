core_libcore_la_SOURCES += core/data/row.c
