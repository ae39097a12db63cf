core_libcore_la_SOURCES += \
	core/pipeline/artifact.c core/pipeline/artifact.h \
	core/pipeline/base.c \
	core/pipeline/bind.c core/pipeline/bind.h \
	core/pipeline/collect.c \
	core/pipeline/content.c core/pipeline/content.h \
	core/pipeline/estimate.c core/pipeline/estimate.h \
	core/pipeline/files.c core/pipeline/files.h \
	core/pipeline/folder.c \
	core/pipeline/graph.c core/pipeline/graph.h \
	core/pipeline/include.c core/pipeline/include.h \
	core/pipeline/keys.c core/pipeline/keys.h \
	core/pipeline/life.c core/pipeline/life.h \
	core/pipeline/make.c core/pipeline/make.h \
	core/pipeline/override.c \
	core/pipeline/pipeline.c core/pipeline/pipeline.h \
	core/pipeline/report.c core/pipeline/report.h \
	core/pipeline/run.c core/pipeline/run.h \
	core/pipeline/settings.c core/pipeline/settings.h \
	core/pipeline/store.c core/pipeline/store.h \
	core/pipeline/trackers.c
