plugin_LTLIBRARIES += rejector-best-of.la
rejector_best_of_la_SOURCES  = plugins/rejector/best-of.c
rejector_best_of_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rejector_best_of_la_LDFLAGS  = -module $(PLUGIN_LINK)
rejector_best_of_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += rejector-threshold.la
rejector_threshold_la_SOURCES  = plugins/rejector/threshold.c
rejector_threshold_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rejector_threshold_la_LDFLAGS  = -module $(PLUGIN_LINK)
rejector_threshold_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += rejector-diverse.la
rejector_diverse_la_SOURCES  = plugins/rejector/diverse.c plugins/judge/words.c plugins/judge/words.h
rejector_diverse_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rejector_diverse_la_LDFLAGS  = -module $(PLUGIN_LINK)
rejector_diverse_la_LIBADD   = libretort.la -lm
