core_libcore_la_SOURCES += core/data/judge.c core/data/metrics.c core/data/row.c
