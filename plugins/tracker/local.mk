plugin_LTLIBRARIES += tracker-jsonl.la
tracker_jsonl_la_SOURCES  = plugins/tracker/jsonl.c
tracker_jsonl_la_CPPFLAGS = $(PLUGIN_INCLUDES)
tracker_jsonl_la_LDFLAGS  = -module $(PLUGIN_LINK)
tracker_jsonl_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += tracker-tensorboard.la
tracker_tensorboard_la_SOURCES  = plugins/tracker/tensorboard.c
tracker_tensorboard_la_CPPFLAGS = $(PLUGIN_INCLUDES)
tracker_tensorboard_la_LDFLAGS  = -module $(PLUGIN_LINK)
tracker_tensorboard_la_LIBADD   = libretort.la -lm

