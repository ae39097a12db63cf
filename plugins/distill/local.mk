plugin_LTLIBRARIES += distill-kl.la
distill_kl_la_SOURCES  = plugins/distill/kl.c
distill_kl_la_CPPFLAGS = $(PLUGIN_INCLUDES)
distill_kl_la_LDFLAGS  = -module $(PLUGIN_LINK)
distill_kl_la_LIBADD   = libretort.la -lm

