plugin_LTLIBRARIES += sampler-greedy.la
sampler_greedy_la_SOURCES  = plugins/sampler/greedy.c plugins/sampler/logits.h
sampler_greedy_la_CPPFLAGS = $(PLUGIN_INCLUDES)
sampler_greedy_la_LDFLAGS  = -module $(PLUGIN_LINK)
sampler_greedy_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += sampler-nucleus.la
sampler_nucleus_la_SOURCES  = plugins/sampler/nucleus.c plugins/sampler/logits.h
sampler_nucleus_la_CPPFLAGS = $(PLUGIN_INCLUDES)
sampler_nucleus_la_LDFLAGS  = -module $(PLUGIN_LINK)
sampler_nucleus_la_LIBADD   = libretort.la -lm
