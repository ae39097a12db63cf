plugin_LTLIBRARIES += distill-ckd.la
distill_ckd_la_SOURCES  = plugins/distill/ckd.c plugins/distill/rows.c plugins/distill/rows.h
distill_ckd_la_CPPFLAGS = $(PLUGIN_INCLUDES)
distill_ckd_la_LDFLAGS  = -module $(PLUGIN_LINK)
distill_ckd_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += distill-kl.la
distill_kl_la_SOURCES  = plugins/distill/kl.c plugins/distill/rows.c plugins/distill/rows.h
distill_kl_la_CPPFLAGS = $(PLUGIN_INCLUDES)
distill_kl_la_LDFLAGS  = -module $(PLUGIN_LINK)
distill_kl_la_LIBADD   = libretort.la -lm

