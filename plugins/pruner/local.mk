plugin_LTLIBRARIES += pruner-depth.la
pruner_depth_la_SOURCES  = plugins/pruner/depth.c
pruner_depth_la_CPPFLAGS = $(PLUGIN_INCLUDES)
pruner_depth_la_LDFLAGS  = -module $(PLUGIN_LINK)
pruner_depth_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += pruner-vocabulary.la
pruner_vocabulary_la_SOURCES  = plugins/pruner/vocabulary.c
pruner_vocabulary_la_CPPFLAGS = $(PLUGIN_INCLUDES)
pruner_vocabulary_la_LDFLAGS  = -module $(PLUGIN_LINK)
pruner_vocabulary_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += pruner-wanda.la
pruner_wanda_la_SOURCES  = plugins/pruner/wanda.c
pruner_wanda_la_CPPFLAGS = $(PLUGIN_INCLUDES)
pruner_wanda_la_LDFLAGS  = -module $(PLUGIN_LINK)
pruner_wanda_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += pruner-width.la
pruner_width_la_SOURCES  = plugins/pruner/width.c
pruner_width_la_CPPFLAGS = $(PLUGIN_INCLUDES)
pruner_width_la_LDFLAGS  = -module $(PLUGIN_LINK)
pruner_width_la_LIBADD   = libretort.la -lm

