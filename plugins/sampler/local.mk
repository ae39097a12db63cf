plugin_LTLIBRARIES += sampler-greedy.la
sampler_greedy_la_SOURCES  = plugins/sampler/greedy.c
sampler_greedy_la_CPPFLAGS = $(PLUGIN_INCLUDES)
sampler_greedy_la_LDFLAGS  = -module $(PLUGIN_LINK)
sampler_greedy_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += sampler-nucleus.la
sampler_nucleus_la_SOURCES  = plugins/sampler/nucleus.c
sampler_nucleus_la_CPPFLAGS = $(PLUGIN_INCLUDES)
sampler_nucleus_la_LDFLAGS  = -module $(PLUGIN_LINK)
sampler_nucleus_la_LIBADD   = libretort.la -lm
