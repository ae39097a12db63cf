core_libcore_la_SOURCES += core/data/metrics.c core/data/row.c
